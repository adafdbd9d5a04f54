"""A deployed graph that computes in float what it will compute in 8 bits, to be trained that way.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018,
section 3: weights and maps are rounded to the values that 8 bits can hold, and gradients pass the rounding unchanged.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from nasplug.deployment.arguments import arguments_of_layers, find_kernels
from nasplug.deployment.graph import read_constant
from nasplug.parts import Network, Outputs

aten = torch.ops.aten

ACTIVATIONS = frozenset({aten.relu.default, aten.relu6.default, aten.hardtanh.default})
"""Operations that a runtime computes together with the one before them: no map of 8 bits lies in between."""
AVERAGING = 0.01
"""The share of a batch in the running averages of the ranges of maps."""
LARGEST_WEIGHT = 64
"""Weights are rounded to whole numbers from -64 to 64, as `quantise` in `nasplug.deployment.quantisation` does."""


class FakeQuantised(Network):
    """The graph of `deployed_graph` with trainable weights; its maps and weights are rounded as in 8 bits.

    In training mode the ranges of maps follow the batches; in evaluation mode they stay.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__()
        self.graph = copy.deepcopy(module)
        """The network itself, without rounding."""
        self._kernels = find_kernels(self.graph)
        _release_weights(self.graph)
        self.roundings = nn.ModuleDict({node.name: RoundedMaps() for node in self.graph.graph.nodes if _is_map(node)})

    def outputs(self, images: Tensor) -> Outputs:
        """The logits (N, classes) of normalised images (N, C, H, W); there are no taps."""
        return Outputs(_Rounding(self).run(images), ())

    def round_result(self, node: fx.Node, value: Any) -> Any:
        """What follows of the result of a node when it has to be kept in 8 bits."""
        if node.name in self.roundings:
            return self.roundings[node.name](value)
        return round_weights(value) if node.target in self._kernels and node.op == "get_attr" else value


class RoundedMaps(nn.Module):
    """Rounds maps to 256 values between the running averages of their least and greatest ones, 0 among them."""

    range: Tensor
    """The least and the greatest value, on average."""
    seen: Tensor
    """Whether there was a batch yet."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("range", torch.zeros(2))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of any shape, rounded, in float32."""
        maps = maps.float()
        if self.training:
            with torch.no_grad():
                ends = torch.stack(maps.aminmax())
                self.range.copy_(torch.where(self.seen, self.range.lerp(ends, AVERAGING), ends))
                self.seen.fill_(True)
        low, high = self.range[0].clamp(max=0), self.range[1].clamp(min=0)
        scale = ((high - low) / 255).clamp_min(1e-12)
        zero = (-low / scale).round().to(torch.int32)
        rounded: Tensor = torch.fake_quantize_per_tensor_affine(maps, scale, zero, 0, 255)
        return rounded


def round_weights(weights: Tensor) -> Tensor:
    """Weights, output channels first, rounded to multiples of a step of each channel: its largest weight / 64."""
    weights = weights.float()
    scale = weights.detach().abs().flatten(1).amax(1).clamp_min(1e-12) / LARGEST_WEIGHT
    zero = torch.zeros_like(scale, dtype=torch.int32)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(weights, scale, zero, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    return rounded


class _Rounding(fx.Interpreter):
    def __init__(self, net: FakeQuantised) -> None:
        super().__init__(net.graph)
        self._net = net

    def run_node(self, n: fx.Node) -> Any:
        return self._net.round_result(n, super().run_node(n))


def _release_weights(module: fx.GraphModule) -> None:
    """Makes parameters of the weights and biases of layers."""
    for given in arguments_of_layers(module):
        for operand in (given["weight"], given["bias"]):
            if operand is not None and operand.op == "get_attr":
                owner, _, name = operand.target.rpartition(".")
                value = read_constant(module, operand.target).detach().clone()
                place = module.get_submodule(owner)
                delattr(place, name)
                setattr(place, name, nn.Parameter(value))


def _is_map(node: fx.Node) -> bool:
    """Whether the result of a node is kept in 8 bits."""
    if node.op not in ("placeholder", "call_function") or not isinstance(node.meta.get("val"), Tensor):
        return False
    readers = list(node.users)
    return not (len(readers) == 1 and readers[0].target in ACTIVATIONS) and node.meta["val"].is_floating_point()
