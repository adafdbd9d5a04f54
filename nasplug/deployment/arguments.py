"""The arguments of a node in a graph of ATen operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx


def name_arguments(node: fx.Node) -> Mapping[str, Any]:
    """The arguments of a node by the names in the schema of its operation, defaults included."""
    assert isinstance(node.target, torch._ops.OpOverload)  # noqa: S101 - getitem is no translation
    values = dict(zip((argument.name for argument in node.target._schema.arguments), node.args, strict=False))
    defaults = {argument.name: argument.default_value for argument in node.target._schema.arguments}
    return defaults | values | node.kwargs
