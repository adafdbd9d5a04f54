"""The arguments of a node in a graph of ATen operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx


def name_arguments(node: fx.Node) -> Mapping[str, Any]:
    """The arguments of a node by the names in the schema of its operation, defaults included."""
    assert isinstance(node.target, torch._ops.OpOverload)  # noqa: S101 - getitem is no translation
    values = dict(zip((argument.name for argument in node.target._schema.arguments), node.args, strict=False))
    defaults = {argument.name: argument.default_value for argument in node.target._schema.arguments}
    return defaults | values | node.kwargs


def arguments_of_layers(module: fx.GraphModule) -> Iterator[Mapping[str, Any]]:
    """The arguments, by name, of all convolutions and linear layers of a graph: `weight` and `bias` among them."""
    for node in module.graph.nodes:
        if node.target in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default):
            yield name_arguments(node)


def find_kernels(module: fx.GraphModule) -> frozenset[str]:
    """The names of the weights of convolutions and linear layers that the graph reads."""
    weights = (given["weight"] for given in arguments_of_layers(module))
    return frozenset(str(weight.target) for weight in weights if weight.op == "get_attr")
