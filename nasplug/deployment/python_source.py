"""The graph of a network as a file of plain PyTorch code, which needs nothing but torch."""

from __future__ import annotations

import math
import operator
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from nasplug.deployment.arguments import name_arguments
from nasplug.deployment.graph import read_constant
from nasplug.parts.answer_layer import SOFTMAX, AnswerLayer

aten = torch.ops.aten

Writer = Callable[[Mapping[str, Any], fx.Node], str]
"""From the arguments of a node, as code, and the node, to the expression that stands for it."""


def collect_weights(module: fx.GraphModule) -> dict[str, Tensor]:
    """By name, the weights that the graph reads, each in memory of its own."""
    names = [str(node.target) for node in module.graph.nodes if node.op == "get_attr" and node.users]
    return {name: read_constant(module, name).detach().clone() for name in dict.fromkeys(names)}


def write_source(
    module: fx.GraphModule,
    mean: Sequence[float],
    std: Sequence[float],
    about: Mapping[str, str],
    answers: AnswerLayer = SOFTMAX,
    dtype: str = "uint8",
) -> str:
    """Code that computes answers to raw images, such as class probabilities, by `module`, a graph of normalised ones.

    `mean` and `std` are per channel, on the scale from 0 to 1; `about` is what the file says of the network, `classes`
    (a JSON list) among it; `dtype` is the type of images, uint8 or float32. A file of the same name with the ending
    ".pt" holds what `collect_weights` has collected.
    """
    kind = "class probabilities" if answers.function == "softmax" else answers.name
    body = textwrap.indent("\n".join(_write_body(module)), " " * 8)
    return TEMPLATE.format(
        title=f"{about['id']}, {int(about['params']):,} parameters",
        about=_write_about(about),
        mean=[float(value) for value in mean],
        std=[float(value) for value in std],
        body=body,
        heading="An image classifier" if answers.function == "softmax" else "A network for images",
        kind=kind,
        Kind=kind.capitalize(),
        outputs="classes" if answers.function == "softmax" else "outputs",
        answer=_write_answer(answers, dtype),
        dtype=dtype,
        raw="raw pixels" if dtype == "uint8" else "raw values",
    )


TEMPLATE = '''"""{heading} in plain PyTorch: network {title}.

    net = load()
    net(images)  # {dtype} (N, C, H, W), {raw}, to {kind} (N, {outputs})

The weights are in the file of the same name that ends in .pt.
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

ABOUT = {about}
CLASSES = json.loads(ABOUT["classes"])
MEAN = {mean}
STD = {std}


def normalise(x, w, name, eps):
    mean, var, weight, bias = (w[f"{{name}}.{{kind}}"] for kind in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias, eps=eps)


class Network(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.names = {{name: f"{{name.replace('.', '_')}}_{{number}}" for number, name in enumerate(weights)}}
        for name, value in weights.items():
            self.register_buffer(self.names[name], value)
        self.register_buffer("mean", torch.tensor(MEAN).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(-1, 1, 1))

    def forward(self, images):
        """{Kind} of {dtype} images (N, C, H, W)."""
        {answer}

    def logits(self, images):
        """From normalised images."""
        w = {{name: getattr(self, buffer) for name, buffer in self.names.items()}}
{body}


def load(weights=Path(__file__).with_suffix(".pt")):
    """The trained network, in evaluation mode on the CPU."""
    return Network(torch.load(weights, map_location="cpu", weights_only=True)).eval()
'''


def _write_answer(answers: AnswerLayer, dtype: str) -> str:
    """The statements that return the answers."""
    scaled = "images.to(self.mean.dtype)" + (" / 255" if dtype == "uint8" else "")
    logits = f"self.logits(({scaled} - self.mean) / self.std)"
    if answers.function != "affine":
        return f"return {logits}{'.softmax(1)' if answers.function == 'softmax' else '.sigmoid()'}"
    return (
        f"x = {logits}\n        return x / x.new_tensor({list(answers.divisor)}) - x.new_tensor({list(answers.offset)})"
    )


def _write_about(about: Mapping[str, str]) -> str:
    lines = [f"    {name!r}: {text!r}," for name, text in about.items()]
    return "\n".join(["{", *lines, "}"])


def _write_body(module: fx.GraphModule) -> Iterator[str]:
    """A statement for each tensor that is read more than once or starts a new expression, by the part it belongs to."""
    code: dict[fx.Node, str] = {}
    names, part = 0, ""
    for node in module.graph.nodes:
        if node.op == "get_attr":
            code[node] = f'w["{node.target}"]'
        elif node.op == "placeholder":
            code[node] = "images"
        elif node.op == "output":
            (result,) = node.all_input_nodes
            yield f"return {_bare(code[result])}"
        else:
            expression = _write_expression(node, code)
            if _is_inlined(node):
                code[node] = expression
                continue
            if (own := _part_of(node)) != part:
                part = own
                yield f"# {part}"
            names += 1
            code[node] = f"x{names}"
            yield f"{code[node]} = {_bare(expression)}"


def _bare(expression: str) -> str:
    """A sum or product without the parentheses that it has within others."""
    return expression[1:-1] if expression.startswith("(") else expression


def _is_inlined(node: fx.Node) -> bool:
    """Whether a node stands within the expression of the only one that reads it."""
    if node.target is operator.getitem:
        return True
    readers = list(node.users)
    return len(readers) == 1 and readers[0].target in WRAPPING and readers[0].args[0] is node


def _part_of(node: fx.Node) -> str:
    """The module that a node belongs to: of "stages.0.1.norm" the layer "stages.0.1", of "stem.norm" the stem."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    words = str(stack[-1][0]).split(".") if stack else []
    last = max((place for place, word in enumerate(words) if word.isdigit()), default=0)
    return ".".join(words[: last + 1])


def _write_expression(node: fx.Node, code: Mapping[fx.Node, str]) -> str:
    if node.target is operator.getitem:
        return f"{code[node.all_input_nodes[0]]}[{node.args[1]}]"
    writer, arguments = WRITERS.get(node.target), name_arguments(node)
    if writer is not None:
        return writer({name: _write_value(_shorten(value), code) for name, value in arguments.items()}, node)
    given = {name: _write_value(value, code) for name, value in arguments.items()}
    return f"torch.ops.{node.target}({', '.join(f'{name}={text}' for name, text in given.items())})"


def _shorten(value: Any) -> Any:
    """One number for two equal ones, which functions of torch take for both directions."""
    if isinstance(value, list | tuple) and len(value) == 2 and value[0] == value[1] and isinstance(value[0], int):
        return value[0]
    return value


def _write_value(value: Any, code: Mapping[fx.Node, str]) -> str:
    if isinstance(value, fx.Node):
        return code[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_write_value(each, code) for each in value)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return f"torch.{value!r}" if isinstance(value, torch.device) else repr(value)


def _call(function: str, *operands: str, **defaults: object) -> Writer:
    """A call with these operands, and further arguments by name unless they have their defaults."""

    def write(given: Mapping[str, str], _: fx.Node) -> str:
        words = [_bare(given[name]) for name in operands if given[name] != "None"]
        words += [f"{name}={given[name]}" for name, default in defaults.items() if given[name] != repr(default)]
        return f"{function}({', '.join(words)})"

    return write


def _infix(sign: str) -> Writer:
    def write(given: Mapping[str, str], _: fx.Node) -> str:
        other = given["other"] if given.get("alpha", "1") == "1" else f"{given['alpha']} * {given['other']}"
        return f"({given.get('self', given.get('input'))} {sign} {other})"

    return write


def _reshape(given: Mapping[str, str], node: fx.Node) -> str:
    """The sizes of maps are known; the number of images is any."""
    source = given["self"]
    sizes = ", ".join(map(str, node.meta["val"].shape[1:]))
    return f"{source}.reshape(len({source}), {sizes})"


def _normalise(given: Mapping[str, str], _: fx.Node) -> str:
    kinds = ("running_mean", "running_var", "weight", "bias")
    module = given["running_mean"].removeprefix('w["').removesuffix('.running_mean"]')
    if all(given[kind] == f'w["{module}.{kind}"]' for kind in kinds):
        return f'normalise({given["input"]}, w, "{module}", {given["eps"]})'
    return f"F.batch_norm({', '.join(given[name] for name in ('input', *kinds))}, eps={given['eps']})"


def _slice(given: Mapping[str, str], _: fx.Node) -> str:
    places = [":"] * int(given["dim"])
    start = "" if given["start"] in ("None", "0") else given["start"]
    end = "" if given["end"] == "None" or int(given["end"]) >= 2**62 else given["end"]
    step = "" if given["step"] == "1" else f":{given['step']}"
    return f"{given['self']}[{', '.join([*places, f'{start}:{end}{step}'])}]"


CONVOLUTION = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
WRITERS: Mapping[Any, Writer] = {
    aten.adaptive_avg_pool2d.default: _call("F.adaptive_avg_pool2d", "self", "output_size"),
    aten.add.Tensor: _infix("+"),
    aten.avg_pool2d.default: _call(
        "F.avg_pool2d", "self", "kernel_size", stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ),
    aten.batch_norm.default: _normalise,
    aten.cat.default: _call("torch.cat", "tensors", dim=0),
    aten.conv2d.default: _call("F.conv2d", "input", "weight", "bias", **CONVOLUTION),
    aten.flatten.using_ints: _reshape,
    aten.hardswish.default: _call("F.hardswish", "self"),
    aten.hardtanh.default: _call("F.hardtanh", "self", "min_val", "max_val"),
    aten.linear.default: _call("F.linear", "input", "weight", "bias"),
    aten.max_pool2d.default: _call(
        "F.max_pool2d", "self", "kernel_size", stride=None, padding=0, dilation=1, ceil_mode=False
    ),
    aten.mean.dim: _call("torch.mean", "self", "dim", keepdim=False),
    aten.mul.Tensor: _infix("*"),
    aten.relu.default: _call("F.relu", "self"),
    aten.relu6.default: _call("F.relu6", "self"),
    aten.reshape.default: _reshape,
    aten.sigmoid.default: _call("torch.sigmoid", "self"),
    aten.silu.default: _call("F.silu", "self"),
    aten.slice.Tensor: _slice,
    aten.squeeze.dims: _reshape,
    aten.unsqueeze.default: _reshape,
    aten.view.default: _reshape,
    aten.zeros_like.default: _call("torch.zeros_like", "self"),
}
"""How each operation is written; others are called by their names in torch."""
WRAPPING = frozenset(
    {
        aten.batch_norm.default,
        aten.hardswish.default,
        aten.hardtanh.default,
        aten.linear.default,
        aten.relu.default,
        aten.relu6.default,
        aten.sigmoid.default,
        aten.silu.default,
    }
)
"""Operations that are written around what they read, if nothing else reads it."""
