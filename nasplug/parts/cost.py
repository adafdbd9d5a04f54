"""Cost measures: what a network costs whoever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from nasplug.values import Unit


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
