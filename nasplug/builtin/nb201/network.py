"""The stand-alone network of a genotype (AutoDL, TinyNetwork)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nasplug.builtin.darts.network import drop_path
from nasplug.builtin.nb201.names import EDGES, KERNELS, LAST, NONE, POOL, place
from nasplug.builtin.nb201.plan import NetworkPlan
from nasplug.builtin.nb201.skeleton import Skeleton, relu_conv_norm
from nasplug.parts import Network, Outputs


def operation(name: str, channels: int) -> nn.Module:
    """An operation other than `none`, with an affine batch norm if it has weights."""
    if name in KERNELS:
        return relu_conv_norm(channels, channels, KERNELS[name], 1, nn.BatchNorm2d)
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False) if name == POOL else nn.Identity()


class Cell(nn.Module):
    """Every node is the sum of its edges; zeros where all of them are `none`.

    All other operations are built and computed, even where they read zeros or lead nowhere: so the benchmark has it.
    """

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                place(*edge): operation(name, channels)
                for edge, name in zip(EDGES, operations, strict=True)
                if name != NONE
            }
        )

    def forward(self, x: Tensor, drop: float) -> Tensor:
        """(N, C, H, W) to the same shape; `drop` is the probability that a path is dropped."""
        states = [x]
        for target in range(1, LAST + 1):
            terms = []
            for source, state in enumerate(states):
                if place(target, source) in self.edges:
                    module = self.edges[place(target, source)]
                    term = module(state)
                    if drop > 0 and not isinstance(module, nn.Identity):
                        term = drop_path(term, drop)
                    terms.append(term)
            states.append(sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(x))
        return states[LAST]


class NasBench201Network(Network):
    """Stem, three stages of equal cells with residual blocks between them, global average pooling, classifier."""

    static_graph = True

    def __init__(self, plan: NetworkPlan, operations: Sequence[str]) -> None:
        super().__init__()
        self.skeleton = Skeleton(plan, nn.BatchNorm2d)
        self.stages = nn.ModuleList(
            nn.ModuleList(Cell(operations, stage.channels) for _ in range(plan.cells)) for stage in plan.stages
        )

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the three stages."""
        return self.skeleton.run(images, self._stage, self.dropout)

    def _stage(self, number: int, x: Tensor) -> Tensor:
        drop = self.drop_path if self.training else 0.0
        for cell in cast("nn.ModuleList", self.stages[number]):
            x = cell(x, drop)
        return x
