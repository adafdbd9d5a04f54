"""Costs that are counted: parameters, multiply-accumulates, bytes of weights, operations of the graph."""

from __future__ import annotations

import attrs
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.deployment.graph import constants, count_operations, deployed_graph
from nasplug.parts import CostMeasure
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
    """Bytes of the weights on the device, in float32, with batch norms folded into the convolutions before them."""

    unit = Unit("B", whole=True)
    additive = True

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The bytes of all constants that the deployed graph reads; what a file adds for its graph is left out."""
        return sum(tensor.nbytes for tensor in constants(deployed_graph(net, shape)))


@attrs.frozen
class Operations(CostMeasure):
    """Operations of the deployed graph, with batch norms folded: each call costs time, however little it computes."""

    unit = Unit(whole=True)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The number of tensors that the graph computes; the parts of a split count once."""
        return count_operations(deployed_graph(net, shape))
