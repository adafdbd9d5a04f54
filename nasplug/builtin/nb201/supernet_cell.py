"""One cell of a supernet: one module for each candidate with weights, computed many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.nb201.names import KERNELS, LAST, PLACES, POOL, place
from nasplug.builtin.nb201.wiring import CandidateGroup, Wiring
from nasplug.supernets import Norm, batch_norm, pointwise
from nasplug.supernets.accumulate import add, add_split, add_weighted


class Convolution(nn.Module):
    """The weights and the batch norm (not affine) of one candidate: ReLU, convolution, batch norm."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel, bias=False)
        self.norm = Norm(channels)


class SupernetCell(nn.Module):
    """All candidates of one cell. Its nodes are weighted sums (DARTS-V1 on NAS-Bench-201).

    What the edges that leave a node share is computed once: the node's ReLU, its pool, and as one dense convolution
    all candidates of one kernel. Weights of candidates take the place of the affine parameters of batch norms.
    """

    def __init__(self, channels: int, operations: Sequence[str]) -> None:
        super().__init__()
        self.candidates = nn.ModuleDict(
            {
                candidate_name(name, where): Convolution(channels, KERNELS[name])
                for where in PLACES
                for name in operations
                if name in KERNELS
            }
        )

    def forward(self, x: Tensor, wiring: Wiring, weights: Sequence[Tensor]) -> Tensor:
        """(N, C, H, W) to the same shape.

        For each batch of the wiring there is a vector of weights: one for each candidate, or where candidates have
        parameters one for each of their channels.
        """
        states: dict[int, Tensor] = {0: x}
        weighed = zip(wiring.batches, weights, strict=True)
        for source, leaving in groupby(weighed, key=lambda pair: pair[0].source):
            state, sums = states[source], dict[tuple[int, ...], Tensor]()
            rectified = None
            for batch, weight in leaving:
                if batch.operation in KERNELS:
                    rectified = F.relu(state) if rectified is None else rectified
                    term = self._convolve(batch, rectified, weight)
                    # Terms for the same nodes are added side by side, before they are split into nodes.
                    add(sums, batch.targets, term)
                    continue
                add_split(states, sums)
                sums.clear()
                term = F.avg_pool2d(state, 3, 1, 1, count_include_pad=False) if batch.operation == POOL else state
                add_weighted(states, batch.targets, term, weight)
            add_split(states, sums)
        return states[LAST] if LAST in states else torch.zeros_like(x)

    def prune(self, doomed: Sequence[str]) -> None:
        """Removes the modules of candidates, as far as they have any and still exist."""
        for name in doomed:
            if name in self.candidates:
                del self.candidates[name]

    def _convolve(self, batch: CandidateGroup, x: Tensor, weight: Tensor) -> Tensor:
        """The batch's terms side by side, (N, targets * C, H, W)."""
        names = [candidate_name(batch.operation, place(target, batch.source)) for target in batch.targets]
        modules = [cast("Convolution", self.candidates[name]) for name in names]
        kernel = torch.cat([module.convolution.weight for module in modules])
        x = pointwise(x, kernel) if KERNELS[batch.operation] == 1 else F.conv2d(x, kernel, padding=1)
        return batch_norm(x, [module.norm for module in modules], weight)


def candidate_name(operation: str, where: str) -> str:
    """The name of a candidate's module within its cell."""
    return f"{operation}@{where}"
