"""One layer of a supernet: all its candidates, computed together where they share something.

All candidates read the same map, so their expansions are one matrix product; those of one kernel size are convolved
together; the batch norms of all are one call, the last of which also weighs the candidates. Exactly equal to
computing one after the other. The parameters stay one module per candidate, so that deleting it deletes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.mbconv.layers import MBConv
from nasplug.builtin.mbconv.names import Operation
from nasplug.builtin.mbconv.plan import LayerPlan
from nasplug.supernets import Norm, batch_norm, depthwise, pointwise


class MixedLayer(nn.Module):
    """The weighted sum of the candidates of one layer."""

    def __init__(self, plan: LayerPlan, operations: Sequence[Operation]) -> None:
        super().__init__()
        self.plan, self.operations = plan, tuple(operations)
        norm = partial(Norm, affine=True)
        self.candidates = nn.ModuleDict({str(one): MBConv(plan, one, norm) for one in operations})

    def forward(self, x: Tensor, columns: Sequence[int], weights: Tensor) -> Tensor:
        """(N, inside, H, W) to (N, outside, H', W').

        `columns` are the numbers of the operations that count, `weights` the weights of all, counted or not.
        """
        order = sorted(columns, key=lambda column: self.operations[column].kernel)
        counted = [cast("MBConv", self.candidates[str(self.operations[column])]) for column in order]
        # By numbers that the host knows: an index tensor would make the device wait for it.
        each = weights.unbind(0)
        if len(counted) == 1:
            total = each[order[0]]
            mixed = _branch(x, counted[0], total)
        else:
            weights = torch.stack([each[column] for column in order])
            total = weights.sum()
            mixed = _branches(x, counted, weights)
        # Candidates with a residual are x + branch each, so x counts by the sum of their weights.
        return mixed + x * total if self.plan.residual else mixed

    def keep(self, columns: Iterable[int]) -> None:
        """Removes the modules of all other candidates."""
        kept = {str(self.operations[column]) for column in columns}
        for name in set(self.candidates) - kept:
            del self.candidates[name]


def _branch(x: Tensor, candidate: MBConv, weight: Tensor) -> Tensor:
    """The residual branch of one candidate times its weight: nothing to bring together, as in every single path."""
    norm = cast("Norm", candidate.project_norm)
    scale, shift = (cast("Tensor", each) * weight for each in (norm.weight, norm.bias))
    return batch_norm(candidate.unnormed(x), [norm], scale, shift)


def _branches(x: Tensor, candidates: Sequence[MBConv], weights: Tensor) -> Tensor:
    """The weighted sum of the residual branches of several candidates, sorted by kernel."""
    expanded = pointwise(x, torch.cat([one.expand.weight for one in candidates]))
    expanded = F.silu(_normed(expanded, [one.expand_norm for one in candidates]))
    groups = [list(group) for _, group in groupby(candidates, key=lambda one: one.operation.kernel)]
    parts = expanded.split([sum(one.channels for one in group) for group in groups], 1)
    projected = [branch for group, part in zip(groups, parts, strict=True) for branch in _separable(part, group)]
    mixed = _normed(torch.cat(projected, 1), [one.project_norm for one in candidates], weights)
    total: Tensor = mixed.unflatten(1, (len(candidates), -1)).sum(1)
    return total


def _separable(x: Tensor, group: Sequence[MBConv]) -> list[Tensor]:
    """For candidates of one kernel size what each projects, before its last norm; `x` has the channels of all."""
    channels = [one.channels for one in group]
    x = depthwise(x, torch.cat([one.depthwise.weight for one in group]), group[0].plan.stride)
    x = F.silu(_normed(x, [one.depthwise_norm for one in group]))
    pooled = x.mean((2, 3)).split(channels, 1)
    gates = torch.cat([one.gate(mean) for one, mean in zip(group, pooled, strict=True)], 1)
    gated = (x * gates[:, :, None, None]).split(channels, 1)
    return [pointwise(part, one.project.weight) for one, part in zip(group, gated, strict=True)]


def _normed(x: Tensor, modules: Sequence[nn.Module], weights: Tensor | None = None) -> Tensor:
    """The affine batch norms of channels that lie side by side, each weighed as a whole if there are weights."""
    norms = cast("Sequence[Norm]", modules)
    scale = torch.cat([cast("Tensor", norm.weight) for norm in norms])
    shift = torch.cat([cast("Tensor", norm.bias) for norm in norms])
    if weights is not None:
        scale, shift = ((each.view(len(weights), -1) * weights[:, None]).flatten() for each in (scale, shift))
    return batch_norm(x, norms, scale, shift)
