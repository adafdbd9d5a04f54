"""Costs that are counted: parameters, multiply-accumulates, bytes of weights, operations of the graph."""

from __future__ import annotations

import attrs
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.deployment.graph import count_operations, deployed_graph
from nasplug.deployment.precision import PRECISIONS, weight_bytes
from nasplug.parts import CostMeasure, option
from nasplug.values import Unit


@attrs.frozen
class Params(CostMeasure):
    """Parameters of the network as it is trained, batch norms included."""

    unit = Unit(whole=True)
    additive = True

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The number of values in all parameters, each counted once."""
        return sum(parameter.numel() for parameter in net.parameters())


@attrs.frozen
class Macs(CostMeasure):
    """Multiply-accumulates of convolutions and linear layers for one image, which many papers call FLOPs."""

    unit = Unit(whole=True)
    additive = True

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """Half of the floating-point operations of all matrix products and convolutions of a forward pass."""
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, *shape))
        operations: int = counter.get_total_flops()
        return operations // 2


@attrs.frozen
class Size(CostMeasure):
    """Bytes of the weights on the device, with batch norms folded into the convolutions before them.

    In int8, kernels take a byte for each weight and four for the scale of each output channel; biases keep 32 bits.
    """

    unit = Unit("B", whole=True)
    additive = True

    precision: str = option("float32", "number format of kernels on the device", choices=PRECISIONS)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The bytes of all constants that the deployed graph reads; what a file adds for its graph is left out."""
        return weight_bytes(deployed_graph(net, shape), self.precision)


@attrs.frozen
class Operations(CostMeasure):
    """Operations of the deployed graph, with batch norms folded: each call costs time, however little it computes."""

    unit = Unit(whole=True)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The number of tensors that the graph computes; the parts of a split count once."""
        return count_operations(deployed_graph(net, shape))
