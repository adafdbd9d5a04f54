"""ONNX models with fewer bytes that compute the same, bit by bit.

In networks of some ten thousand weights, names, defaults and what is said twice take more bytes than the weights of 8
bits.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, count, product
from typing import Any

import onnx
from onnx import helper, numpy_helper

LAYERS = frozenset({"AveragePool", "Conv", "MaxPool", "QLinearAveragePool", "QLinearConv"})
"""Operations with a kernel that moves over maps."""
KERNELS = frozenset({"Conv", "QLinearConv"})
"""Those of them whose weights tell the size of the kernel."""
UNIFORM = {"dilations": 1, "pads": 0, "strides": 1}
"""Attributes of layers that may be missing if they hold this number for all sides."""
POOL = {"ceil_mode": 0, "channels_last": 0, "count_include_pad": 0, "storage_order": 0}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "AveragePool": POOL,
    "Conv": {"group": 1},
    "DequantizeLinear": {"axis": 1, "block_size": 0},
    "Flatten": {"axis": 1},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0},
    "MaxPool": POOL,
    "QGemm": {"alpha": 1.0, "transA": 0, "transB": 0},
    "QLinearAveragePool": POOL,
    "QLinearConv": {"group": 1},
    "QLinearGlobalAveragePool": POOL,
    "QuantizeLinear": {"axis": 1, "block_size": 0, "saturate": 1, "output_dtype": 0, "precision": 0},
    "Reshape": {"allowzero": 0},
}
"""What attributes are where they are missing, by operation. Of ONNX Runtime's own operations `onnx` knows none."""


def shrink(model: onnx.ModelProto) -> None:
    """Keeps equal constants and equal operations once, and drops defaults, names, notes and what nothing reads.

    Names are letters and digits, the shortest for what is read most. Inputs, outputs, their names and the metadata of
    the model stay. Of a model with graphs in its operations, which may read any tensor, notes alone are dropped.
    """
    _drop_notes(model)
    if any(each.type in (each.GRAPH, each.GRAPHS) for node in model.graph.node for each in node.attribute):
        return
    _share_constants(model)
    _merge_equal_operations(model)
    drop_unread(model)
    for node in model.graph.node:
        _drop_defaults(node)
    _shorten_names(model)


def _share_constants(model: onnx.ModelProto) -> None:
    """Keeps equal constants once: most layers of a quantised model have the same zero points."""
    kept: dict[tuple[int, tuple[int, ...], bytes], onnx.TensorProto] = {}
    names: dict[str, str] = {}
    for constant in model.graph.initializer:
        content = numpy_helper.to_array(constant).tobytes()
        names[constant.name] = kept.setdefault((constant.data_type, tuple(constant.dims), content), constant).name
    _replace_constants(model, kept.values())
    _rename_inputs(model, names)


def _merge_equal_operations(model: onnx.ModelProto) -> None:
    """Keeps what is computed twice once, such as the ReLU of a map for each of the layers that read it."""
    fixed = {value.name for value in model.graph.output}
    seen: dict[tuple[Any, ...], onnx.NodeProto] = {}
    names: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        attributes = sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
        key = (node.domain, node.op_type, tuple(node.input), len(node.output), *attributes)
        first = seen.setdefault(key, node)
        if first is node or fixed.intersection(node.output):
            nodes.append(node)
        else:
            names.update(zip(node.output, first.output, strict=True))
    _replace_nodes(model, nodes)


def drop_unread(model: onnx.ModelProto) -> None:
    """Removes operations and constants that no output depends on."""
    read = {value.name for value in model.graph.output}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if read.intersection(node.output):
            read.update(node.input)
            nodes.append(node)
    _replace_nodes(model, nodes[::-1])
    _replace_constants(model, [each for each in model.graph.initializer if each.name in read])


def _drop_defaults(node: onnx.NodeProto) -> None:
    """Removes attributes that say what holds without them."""
    kept = [attribute for attribute in node.attribute if not _is_default(node.op_type, attribute)]
    del node.attribute[:]
    node.attribute.extend(kept)


def _is_default(kind: str, attribute: onnx.AttributeProto) -> bool:
    value = helper.get_attribute_value(attribute)
    if kind in LAYERS:
        if attribute.name in UNIFORM:
            return set(value) == {UNIFORM[attribute.name]}
        if attribute.name == "auto_pad":
            return bool(value == b"NOTSET")
        if attribute.name == "kernel_shape":
            return kind in KERNELS
    defaults = DEFAULTS.get(kind, {})
    return attribute.name in defaults and bool(defaults[attribute.name] == value)


def _shorten_names(model: onnx.ModelProto) -> None:
    graph = model.graph
    fixed = {"", *(value.name for value in (*graph.input, *graph.output))}
    reads = Counter(chain.from_iterable((*node.input, *node.output) for node in graph.node))
    short = (name for name in _identifiers() if name not in fixed)
    names = {name: next(short) for name, _ in reads.most_common() if name not in fixed}
    _rename_inputs(model, names)
    for node in graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
    for constant in graph.initializer:
        constant.name = names[constant.name]


def _identifiers() -> Iterator[str]:
    """All names that ONNX allows, the shortest first: identifiers of C."""
    first, later = string.ascii_letters, string.ascii_letters + string.digits
    for length in count():
        for letters in product(first, *[later] * length):
            yield "".join(letters)


def _drop_notes(model: onnx.ModelProto) -> None:
    """Removes what is for readers alone; torch notes for every node where it came from."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("doc_string")
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
    for node in graph.node:
        node.ClearField("name")


def _rename_inputs(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _replace_constants(model: onnx.ModelProto, constants: Any) -> None:
    kept = list(constants)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
