"""Cost measures: what a network costs whoever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs
from torch import nn

from nasplug.values import Unit


@attrs.frozen
class Measurement:
    """The cost of one network."""

    value: float
    """In the unit of its measure."""
    details: Mapping[str, Any] = attrs.field(factory=dict)
    """How it was measured, as plain data for the result of a run: quartiles, the device, a runtime."""


class CostMeasure(ABC):
    """One way to say what a network costs, such as its parameters, the memory that it needs, or its running time.

    An attrs class. It has no state: a cost is a function of the network, the shape of its input, the options and, for
    measures that are `measured`, the machine. Random numbers come from generators of its own.
    """

    unit: Unit = Unit()
    """In what costs are counted, and so how budgets for them are written."""
    measured: bool = False
    """Whether costs are measured on this machine, and so differ a little from one time to the next."""
    additive: bool = False
    """Whether the cost of layers that follow one another is the sum of their costs, at least about."""

    @abstractmethod
    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """What `net` costs for one input, in `unit`; finite, at least 0.

        `net` is a network or one of its layers, on the CPU in evaluation mode. It takes float32 of `shape` (channels,
        height, width) with a batch dimension before it, and gives one tensor. It must be left as it was.
        """

    def layer_cost(self, layer: nn.Module, shape: tuple[int, int, int]) -> float:
        """What a layer adds to the cost of a network, in `unit`; by default what it costs as a network of its own.

        Only `additive` measures are asked. Override it together with `base_cost`.
        """
        return self.cost(layer, shape)

    def base_cost(self) -> float:
        """What every network costs beside its layers, in `unit`, such as the time for calling it; by default nothing.

        Only `additive` measures are asked. It is counted once for each network whose layers are summed.
        """
        return 0.0

    def environment(self) -> Mapping[str, str | int]:
        """What costs depend on beside the options, as names and values: the processor, a runtime with its version.

        Only `measured` measures are asked. Costs of layers are kept for later runs, each under its environment.
        """
        return {}

    def measure(self, net: nn.Module, shape: tuple[int, int, int]) -> Measurement:
        """The cost of a network with what there is to say about how it was found; by default the cost alone."""
        return Measurement(self.cost(net, shape))
