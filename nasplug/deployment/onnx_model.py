"""The deployed graph as an ONNX model, written directly, alone or between raw images and answers.

torch.onnx.export takes seconds for a network and nearly one for a layer, most of it for tables that it makes anew each
time. The graphs of small convolutional networks need few operations; what is not among them is left to it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx

from nasplug.deployment.arguments import name_arguments
from nasplug.deployment.graph import read_constant
from nasplug.deployment.onnx_shrinking import drop_unread
from nasplug.parts.answer_layer import SOFTMAX, AnswerLayer
from nasplug.values.shape import SCALES

aten = torch.ops.aten

OPSET = 18
IR_VERSION = 8
"""The one that belongs to the operator set, which every ONNX Runtime of recent years reads."""


class Untranslated(Exception):
    """A graph has an operation for which there is no translation here."""


def write_onnx(module: fx.GraphModule) -> bytes:
    """The model of a graph of `deployed_graph`, for one image; raises Untranslated if that is left to torch."""
    model = _Model(module)
    for node in module.graph.nodes:
        model.translate(node)
    content: bytes = model.finish().SerializeToString()
    return content


def write_classifier(
    module: fx.GraphModule,
    mean: Sequence[float],
    std: Sequence[float],
    answers: AnswerLayer = SOFTMAX,
    dtype: str = "uint8",
) -> onnx.ModelProto:
    """The model of a network between raw images and answers, such as class probabilities, for batches of any size.

    `module` is the graph of `deployed_graph` for normalised images; `mean` and `std` are per channel, on the scale from
    0 to 1. The model takes `images` of the type `dtype` (uint8 or float32), (batch, C, H, W), and gives `probabilities`
    (or what `answers` are called), float32 (batch, outputs). Raises Untranslated as `write_onnx` does.
    """
    model = _Model(module, batch="batch")
    for node in module.graph.nodes:
        if node.op == "placeholder":
            _normalise_images(model, node, np.array(mean, np.float32), np.array(std, np.float32), dtype)
        elif node.op == "output":
            (logits,) = node.all_input_nodes
            _answer(model, logits, answers)
            model.outputs.append(helper.make_tensor_value_info(answers.name, TensorProto.FLOAT, model.sizes(logits)))
        else:
            model.translate(node)
    return model.finish()


def _normalise_images(model: _Model, node: fx.Node, mean: Floats, std: Floats, dtype: str) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model.inputs.append(helper.make_tensor_value_info("images", kind, model.sizes(node)))
    if dtype == "float32":
        # Signals may have a mean of many deviations, which has to be subtracted before it is rounded.
        centred = model.add("Sub", ["images", mean[:, None, None]], "centred")
        model.names[node] = model.add("Mul", [centred, (1 / (SCALES[dtype] * std))[:, None, None]], "normalised")
        return
    pixels = model.add("Cast", ["images"], "pixels", to=TensorProto.FLOAT)
    scaled = model.add("Mul", [pixels, (1 / (SCALES[dtype] * std))[:, None, None]], "scaled")
    model.names[node] = model.add("Add", [scaled, (-mean / std)[:, None, None]], "normalised")


def _answer(model: _Model, logits: fx.Node, answers: AnswerLayer) -> None:
    match answers.function:
        case "softmax":
            model.add("Softmax", [logits], answers.name, axis=1)
        case "sigmoid":
            model.add("Sigmoid", [logits], answers.name)
        case "affine":
            scaled = model.add("Div", [logits, np.array(answers.divisor, np.float32)], "scaled_answers")
            model.add("Sub", [scaled, np.array(answers.offset, np.float32)], answers.name)


@attrs.define
class _Model:
    """A model as far as it is written. Tensors have the names of their nodes in the graph of torch."""

    module: fx.GraphModule
    batch: str | int = 1
    """The number of images, or a name for any number of them."""
    names: dict[fx.Node, str] = attrs.field(factory=dict)
    """Tensors with another name than that of their node."""
    nodes: list[onnx.NodeProto] = attrs.field(factory=list)
    constants: list[onnx.TensorProto] = attrs.field(factory=list)
    inputs: list[onnx.ValueInfoProto] = attrs.field(factory=list)
    outputs: list[onnx.ValueInfoProto] = attrs.field(factory=list)

    def translate(self, node: fx.Node) -> None:
        """Adds what stands for this node."""
        if node.op == "placeholder":
            self.inputs.append(helper.make_tensor_value_info(node.name, TensorProto.FLOAT, self.sizes(node)))
        elif node.op == "get_attr":
            values = read_constant(self.module, node.target).detach().numpy()
            self.constants.append(numpy_helper.from_array(values, node.name))
        elif node.op == "output":
            (result,) = node.all_input_nodes
            self.add("Identity", [result], "result")
            self.outputs.append(helper.make_tensor_value_info("result", TensorProto.FLOAT, self.sizes(result)))
        elif node.target is not operator.getitem:  # the parts of a split are its outputs
            if node.target not in TRANSLATIONS:
                raise Untranslated(str(node.target))
            TRANSLATIONS[node.target](self, node, name_arguments(node))

    def sizes(self, node: fx.Node) -> list[str | int]:
        """The form of the result of a node, which was captured for one image."""
        return [self.batch, *_form(node)[1:]]

    def finish(self) -> onnx.ModelProto:
        """The whole model."""
        graph = helper.make_graph(self.nodes, "network", self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        drop_unread(model)
        return model

    def add(self, kind: str, inputs: Sequence[Any], output: str | Sequence[str], **attributes: Any) -> str:
        """An ONNX operation; inputs are nodes, names or arrays of numbers."""
        names = [self._name(value) for value in inputs]
        outputs = [output] if isinstance(output, str) else list(output)
        self.nodes.append(helper.make_node(kind, names, outputs, **attributes))
        return outputs[0]

    def _name(self, value: Any) -> str:
        if isinstance(value, fx.Node):
            return self.names.get(value, value.name)
        if isinstance(value, str):
            return value
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


Arguments = Mapping[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Translation = Callable[[_Model, fx.Node, Arguments], object]


def _same(kind: str, *inputs: str) -> Translation:
    """An operation of the same meaning, whose inputs are these arguments."""
    return lambda model, node, given: model.add(kind, [given[name] for name in inputs], node.name)


def _convolve(model: _Model, node: fx.Node, given: Arguments) -> None:
    if isinstance(given["padding"], str) or given["weight"].op != "get_attr":
        raise Untranslated("padding by name, or a kernel that is computed")
    model.add(
        "Conv",
        [given["input"], given["weight"], *_where_given(given["bias"])],
        node.name,
        kernel_shape=list(read_constant(model.module, given["weight"].target).shape[2:]),
        strides=given["stride"],
        pads=_both_sides(given["padding"]),
        dilations=given["dilation"],
        group=given["groups"],
    )


def _pool(kind: str) -> Translation:
    def translate(model: _Model, node: fx.Node, given: Arguments) -> None:
        if given.get("divisor_override") is not None:
            raise Untranslated("a divisor of its own")
        counts = {"count_include_pad": int(given["count_include_pad"])} if kind == "AveragePool" else {}
        model.add(
            kind,
            [given["self"]],
            node.name,
            kernel_shape=_pair(given["kernel_size"]),
            strides=_pair(given["stride"] or given["kernel_size"]),
            pads=_both_sides(given["padding"]),
            ceil_mode=int(given["ceil_mode"]),
            **({"dilations": _pair(given["dilation"])} if kind == "MaxPool" else counts),
        )

    return translate


def _average_to_one(model: _Model, node: fx.Node, given: Arguments) -> None:
    if list(given["output_size"]) != [1, 1]:
        raise Untranslated("adaptive pools of other sizes")
    model.add("GlobalAveragePool", [given["self"]], node.name)


def _compute_elementwise(kind: str) -> Translation:
    def translate(model: _Model, node: fx.Node, given: Arguments) -> None:
        other = given["other"]
        if given.get("alpha", 1) != 1:
            raise Untranslated("a scaled sum")
        model.add(kind, [given["self"], other if isinstance(other, fx.Node) else np.float32(other)], node.name)

    return translate


def _normalise(model: _Model, node: fx.Node, given: Arguments) -> None:
    """A batch norm as a convolution of each channel by itself: half the constants, and an operation of 8 bits."""
    names = ("weight", "bias", "running_mean", "running_var")
    if given["training"] or any(given[name] is None or given[name].op != "get_attr" for name in names):
        raise Untranslated("a batch norm without scale or statistics")
    values = (read_constant(model.module, given[name].target).detach().double() for name in names)
    weight, bias, mean, variance = values
    scale = weight / torch.sqrt(variance + given["eps"])
    kernel = scale.reshape(-1, 1, *[1] * (len(_form(node)) - 2))
    operands = [tensor.float().numpy() for tensor in (kernel, bias - mean * scale)]
    model.add("Conv", [given["input"], *operands], node.name, group=len(kernel))


def _average(model: _Model, node: fx.Node, given: Arguments) -> None:
    if len(_form(given["self"])) != 4 or sorted(dim % 4 for dim in given["dim"]) != [2, 3]:
        model.add("ReduceMean", [given["self"], _integers(given["dim"])], node.name, keepdims=int(given["keepdim"]))
    elif given["keepdim"]:
        model.add("GlobalAveragePool", [given["self"]], node.name)
    else:  # an operation that there is in 8 bits, too
        pooled = model.add("GlobalAveragePool", [given["self"]], f"{node.name}_pooled")
        model.add("Flatten", [pooled], node.name, axis=1)


def _weigh(model: _Model, node: fx.Node, given: Arguments) -> None:
    if len(_form(given["input"])) != 2:
        raise Untranslated("a linear layer of maps")
    model.add("Gemm", [given["input"], given["weight"], *_where_given(given["bias"])], node.name, transB=1)


def _concatenate(model: _Model, node: fx.Node, given: Arguments) -> None:
    model.add("Concat", given["tensors"], node.name, axis=given["dim"])


def _slice(model: _Model, node: fx.Node, _: Arguments) -> None:
    source, slices = _find_slices(node)
    starts = [each["start"] or 0 for each in slices]
    ends = [np.iinfo(np.int64).max if each["end"] is None else each["end"] for each in slices]
    bounds = (starts, ends, [each["dim"] for each in slices], [each["step"] for each in slices])
    model.add("Slice", [source, *map(_integers, bounds)], node.name)


def _find_slices(node: fx.Node) -> tuple[fx.Node, list[Arguments]]:
    """What a slice and those before it, of other dimensions, are one slice of, and their arguments in order."""
    given = name_arguments(node)
    if given["self"].target is aten.slice.Tensor:
        source, slices = _find_slices(given["self"])
        if given["dim"] not in [each["dim"] for each in slices]:
            return source, [*slices, given]
    return given["self"], [given]


def _split(model: _Model, node: fx.Node, given: Arguments) -> None:
    parts = {reader.args[1]: reader.name for reader in node.users}
    sizes = [part.shape[given["dim"]] for part in node.meta["val"]]
    names = [parts.get(number, f"{node.name}_{number}") for number in range(len(sizes))]
    model.add("Split", [given["self"], _integers(sizes)], names, axis=given["dim"])


def _pad(model: _Model, node: fx.Node, given: Arguments) -> None:
    if given["mode"] != "constant":
        raise Untranslated("padding by other values")
    pads = list(given["pad"])
    before, after = pads[-2::-2], pads[::-2]  # torch begins with the last dimension
    fixed = [0] * (len(_form(given["self"])) - len(before))
    model.add(
        "Pad", [given["self"], _integers([*fixed, *before, *fixed, *after]), np.float32(given["value"] or 0)], node.name
    )


def _reshape(model: _Model, node: fx.Node, given: Arguments) -> None:
    # The sizes of maps are known, so that whatever torch calls it is one reshape; 0 keeps the number of images.
    if _form(given["self"])[0] != _form(node)[0]:
        raise Untranslated("a reshape across images")
    model.add("Reshape", [given["self"], _integers([0, *_form(node)[1:]])], node.name)


def _make_zeros(model: _Model, node: fx.Node, _: Arguments) -> None:
    size = model.add("Shape", [node.args[0]], f"{node.name}_size")
    model.add("ConstantOfShape", [size], node.name)


def _clip(model: _Model, node: fx.Node, given: Arguments) -> None:
    bounds = [np.float32(given["min_val"]), np.float32(given["max_val"])]
    model.add("Clip", [given["self"], *bounds], node.name)


def _clip_at_six(model: _Model, node: fx.Node, given: Arguments) -> None:
    model.add("Clip", [given["self"], np.float32(0), np.float32(6)], node.name)


def _swish(model: _Model, node: fx.Node, given: Arguments) -> None:
    gate = model.add("Sigmoid", [given["self"]], f"{node.name}_gate")
    model.add("Mul", [given["self"], gate], node.name)


TRANSLATIONS: Mapping[Any, Translation] = {
    aten.adaptive_avg_pool2d.default: _average_to_one,
    aten.add.Tensor: _compute_elementwise("Add"),
    aten.avg_pool2d.default: _pool("AveragePool"),
    aten.batch_norm.default: _normalise,
    aten.cat.default: _concatenate,
    aten.conv2d.default: _convolve,
    aten.flatten.using_ints: _reshape,
    aten.hardswish.default: _same("HardSwish", "self"),
    aten.hardtanh.default: _clip,
    aten.linear.default: _weigh,
    aten.max_pool2d.default: _pool("MaxPool"),
    aten.mean.dim: _average,
    aten.mul.Tensor: _compute_elementwise("Mul"),
    aten.pad.default: _pad,
    aten.relu.default: _same("Relu", "self"),
    aten.relu6.default: _clip_at_six,
    aten.reshape.default: _reshape,
    aten.sigmoid.default: _same("Sigmoid", "self"),
    aten.silu.default: _swish,
    aten.slice.Tensor: _slice,
    aten.split.Tensor: _split,
    aten.squeeze.dims: _reshape,
    aten.unsqueeze.default: _reshape,
    aten.view.default: _reshape,
    aten.zeros_like.default: _make_zeros,
}
"""How each operation is written."""


def _form(node: fx.Node) -> list[int]:
    value = node.meta["val"]
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        raise Untranslated("values other than float32")
    return list(value.shape)


def _where_given(operand: fx.Node | None) -> list[fx.Node]:
    """An input that may be left out; an empty name in its place makes ONNX Runtime take slower kernels."""
    return [] if operand is None else [operand]


def _integers(values: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, np.int64)


def _pair(value: Sequence[int]) -> list[int]:
    return [value[0], value[-1]]


def _both_sides(padding: Sequence[int]) -> list[int]:
    return 2 * _pair(padding)
