"""The number formats of weights and maps on a device."""

from __future__ import annotations

import torch
from torch import fx

from nasplug.deployment.arguments import find_kernels
from nasplug.deployment.graph import read_constant

PRECISIONS = ("float32", "int8")
"""By name: every number in 32 bits, or kernels and maps in 8."""
SCALE_BYTES = 4
"""Bytes of the scale of a quantised tensor."""


def weight_bytes(module: fx.GraphModule, precision: str) -> int:
    """Bytes of all weights that a graph of `deployed_graph` reads, each counted once.

    In int8, the kernels of convolutions and linear layers take a byte for each weight and a scale for each output
    channel; biases, which have 32 bits there, and all other numbers take what they take in float32.
    """
    kernels = find_kernels(module) if precision == "int8" else frozenset()
    tensors = {node.target: read_constant(module, node.target) for node in module.graph.nodes if node.op == "get_attr"}
    stored = {tensor.data_ptr() or id(tensor): (name in kernels, tensor) for name, tensor in tensors.items()}
    return sum(
        tensor.numel() + SCALE_BYTES * len(tensor) if is_kernel else tensor.nbytes
        for is_kernel, tensor in stored.values()
    )


def value_bytes(value: torch.Tensor, precision: str) -> int:
    """Bytes of a map."""
    return value.numel() * (1 if precision == "int8" else value.element_size())
