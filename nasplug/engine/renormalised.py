"""A network for images that are normalised otherwise than those that it was trained on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from nasplug.engine.ahead.graph_keys import key_of
from nasplug.parts import Network, Outputs

Normalisation = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of each channel, on the scale from 0 to 1."""


class Renormalised(Network):
    """`net`, which expects images normalised by `expected`, as a network for images that are normalised by `given`."""

    static_graph = True

    scale: Tensor
    shift: Tensor

    def __init__(self, net: Network, given: Normalisation, expected: Normalisation) -> None:
        super().__init__()
        self.net = net
        (mean, std), (net_mean, net_std) = (
            [torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in each] for each in (given, expected)
        )
        self.register_buffer("scale", (std / net_std).float())
        self.register_buffer("shift", ((mean - net_mean) / net_std).float())

    def outputs(self, images: Tensor) -> Outputs:
        """What the network gives for the same images in its own normalisation."""
        return self.net.outputs(images * self.scale + self.shift)

    def graph_key(self) -> Hashable | None:
        """That of the network."""
        return key_of(self.net, methods=("outputs",))
