"""The supernet of NAS-Bench-201 in the way of its published code (AutoDL, search_cells.py): edge after edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from nasplug.builtin.nb201.genotype import KERNELS, PLACES, POOL, SKIP
from nasplug.builtin.nb201.network import Skeleton
from nasplug.builtin.nb201.supernet import NasBench201Supernet, SupernetCell, candidate_name
from nasplug.builtin.plain_operations import PlainSupernet, WeightedCandidates, Zero, find_layers, relu_conv_norm


class PlainNasBench201(PlainSupernet):
    """Plain cells within the skeleton that stand-alone networks have."""

    def __init__(self, net: NasBench201Supernet) -> None:
        super().__init__()
        self.choices = net.choices
        self.skeleton = Skeleton(net.layout, nn.BatchNorm2d)
        operations = net.choices.choices[0].candidates
        self.stages = nn.ModuleList(
            nn.ModuleList(PlainCell(stage.channels, operations) for _ in range(net.layout.cells))
            for stage in net.layout.stages
        )

    def forward(self, images: Tensor) -> Tensor:
        """The logits of images (N, C, H, W)."""
        weighed = WeightedCandidates(self.choices)

        def stage(number: int, x: Tensor) -> Tensor:
            for cell in cast("nn.ModuleList", self.stages[number]):
                x = cell(x, weighed)
            return x

        return self.skeleton.run(images, stage).logits

    def pair_layers(self, net: NasBench201Supernet) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Every layer with weights beside that of `net` whose weights it has."""
        yield from zip(find_layers(self.skeleton), find_layers(net.skeleton), strict=True)
        for stage, other in zip(self.stages, net.stages, strict=True):
            for plain, cell in zip(cast("nn.ModuleList", stage), cast("nn.ModuleList", other), strict=True):
                for name, module in cast("SupernetCell", cell).candidates.items():
                    yield from zip(
                        find_layers(cast("PlainCell", plain).operations[name]), find_layers(module), strict=True
                    )


class PlainCell(nn.Module):
    """Four nodes; on each edge a module for every operation."""

    def __init__(self, channels: int, operations: tuple[str, ...]) -> None:
        super().__init__()
        self.names = [[candidate_name(name, where) for name in operations] for where in PLACES]
        self.operations = nn.ModuleDict(
            {candidate_name(name, where): _operation(name, channels) for where in PLACES for name in operations}
        )

    def forward(self, x: Tensor, weighed: WeightedCandidates) -> Tensor:
        """(N, C, H, W) to the same shape."""
        states, row = [x], 0
        for _ in range(3):
            total: Tensor | None = None
            for state in states:
                names = self.names[row]
                term = weighed.sum(row, range(len(names)), [self.operations[name] for name in names], state)
                total = term if total is None else total if term is None else total + term
                row += 1
            states.append(x.new_zeros(x.shape) if total is None else total)
        return states[-1]


def _operation(name: str, channels: int) -> nn.Module:
    if name in KERNELS:
        return relu_conv_norm(channels, channels, KERNELS[name])
    if name == POOL:
        return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    return nn.Identity() if name == SKIP else Zero(1)
