"""Post-training quantisation of an ONNX model to 8 bits, by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx

BATCH = 32
"""Images that are run at a time while ranges are measured."""
WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Layers with weights."""


def quantise(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> onnx.ModelProto:
    """The model with weights and maps of 8 bits, for the ranges that its maps have on `images` (N, C, H, W).

    What comes before the first convolution or linear layer, and the softmax, stay as they are. Weights are signed, with
    a scale for each output channel, maps unsigned, with one scale each; biases have 32 bits. Weights use 7 of their 8
    bits: the products of pairs of 8-bit numbers overflow the 16 bits in which x86 processors without VNNI add them up.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Batches(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            self._starts = iter(range(0, len(images), BATCH))

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            start = next(self._starts, None)
            return None if start is None else {name: images[start : start + BATCH]}

    name = model.graph.input[0].name
    for number, node in enumerate(model.graph.node):
        node.name = f"node_{number}"
    first = next(place for place, node in enumerate(model.graph.node) if node.op_type in WEIGHTED)
    kept = [node.name for place, node in enumerate(model.graph.node) if place < first or node.op_type == "Softmax"]
    with TemporaryDirectory(prefix="nasplug-") as folder, _without_advice():
        source, result = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            result,
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
        )
        quantised = onnx.load(result)
    shorten_names(quantised)
    return quantised


def shorten_names(model: onnx.ModelProto) -> None:
    """Numbers all tensors but inputs and outputs, and drops the names of nodes: in small models they are most bytes."""
    graph = model.graph
    fixed = {value.name for value in (*graph.input, *graph.output)}
    numbers: dict[str, str] = {}

    def shorten(name: str) -> str:
        return name if not name or name in fixed else numbers.setdefault(name, f"{len(numbers):x}")

    for node in graph.node:
        node.ClearField("name")
        node.input[:] = [shorten(name) for name in node.input]
        node.output[:] = [shorten(name) for name in node.output]
    for constant in graph.initializer:
        constant.name = shorten(constant.name)
    del graph.value_info[:]


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silences the quantiser, which recommends preparations that the models written here do not need."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(max(before, logging.ERROR))
    try:
        yield
    finally:
        root.setLevel(before)
