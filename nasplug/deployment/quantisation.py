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

from nasplug.deployment.onnx_shrinking import shrink

BATCH = 32
"""Images that are run at a time while ranges are measured."""
WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Layers with weights."""


def quantise(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> onnx.ModelProto:
    """The model with weights and maps of 8 bits, for the ranges that its maps have on `images` (N, C, H, W).

    What comes before the first convolution or linear layer, and what makes answers of logits, stay as they are. Weights
    are signed, with a scale for each output channel, maps unsigned, with one scale each; biases have 32 bits. Weights
    use 7 of their 8 bits: the products of pairs of 8-bit numbers overflow the 16 bits in which x86 processors without
    VNNI add them up.

    Layers are operations on numbers of 8 bits (QLinearConv and its like), a few of them ONNX Runtime's own: it makes
    them of float layers between pairs of QuantizeLinear and DequantizeLinear when it loads a model. A file of those
    would have three times as many operations and, with a few thousand weights, up to a quarter more bytes.
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
    last = len(model.graph.node) - (2 if model.graph.output[0].name == "values" else 1)
    kept = [
        node.name
        for place, node in enumerate(model.graph.node)
        if place < first or place >= last or node.op_type == "Softmax"
    ]
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
        quantised = _fuse(result, Path(folder) / "fused.onnx")
    shrink(quantised)
    return quantised


def _fuse(source: Path, result: Path) -> onnx.ModelProto:
    """The model as ONNX Runtime carries it out, whatever the processor."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(result)
    options.log_severity_level = 3  # it recommends to save models for other processors without optimisations
    InferenceSession(source, options, providers=["CPUExecutionProvider"])
    model = onnx.load(result)
    used = {node.domain for node in model.graph.node}
    imports = [each for each in model.opset_import if each.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    return model


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
