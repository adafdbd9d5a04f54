"""One layer of a supernet: the weighted sum of its candidates.

Candidates that go on alike after their last convolution share one batch norm. Exactly equal to computing one after the
other. Every candidate keeps a module with its own parameters, so that deleting the candidate deletes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.compact.channels import Channels, join, narrow
from nasplug.builtin.compact.genotype import CONV, INVERTED, POOL, RESIDUAL, SEPARABLE, SKIP, Operation
from nasplug.builtin.compact.layout import LayerLayout
from nasplug.builtin.compact.operations import Activation, LayerOperation, ResidualPair, make_operation
from nasplug.builtin.compact.side_by_side import Candidates, Maps, compute_branches
from nasplug.supernets import Norm, affine_batch_norm, pointwise
from nasplug.supernets.convolution import drop_unread_edge


class MixedLayer(nn.Module):
    """The weighted sum of the candidates of one layer; `layout` is that of its widest form."""

    def __init__(self, layout: LayerLayout, operations: Sequence[Operation], activation: Activation) -> None:
        super().__init__()
        self.layout, self.operations, self.activation = layout, tuple(operations), activation
        norm = partial(Norm, affine=True)
        self.candidates = nn.ModuleDict(
            {
                str(operation): make_operation(layout, operation, norm, activation)
                for operation in operations
                if operation.kind != SKIP
            }
        )

    def forward(
        self, x: Tensor, columns: Sequence[int], weights: Tensor, inputs: Channels, outputs: Channels
    ) -> Tensor:
        """(N, inputs.count, H, W) to (N, outputs.count, H', W').

        `columns` are the numbers of the operations that are computed, `weights` the weights of all operations.
        """
        # Selected by numbers that the host knows: an index tensor would have to be copied to the device.
        by_column = weights.unbind(0)
        picked = {self.operations[column]: by_column[column] for column in columns}
        candidates: Candidates = {
            operation: cast("LayerOperation", self.candidates[str(operation)])
            for operation in picked
            if operation.kind != SKIP
        }
        branches = compute_branches(x, candidates, inputs, outputs)
        terms = []
        if activated := _select(branches, CONV, SEPARABLE, POOL):
            maps = _normalise(activated, candidates, outputs.factors(len(activated)), outputs)
            terms.append(_weigh(self.activation(maps), _stack(picked, activated)))
        if pairs := _select(branches, RESIDUAL):
            maps = _normalise(pairs, candidates, outputs.factors(len(pairs)), outputs)
            shortcuts = join(_compute_shortcut(x, cast("ResidualPair", candidates[pair]), outputs) for pair in pairs)
            terms.append(_weigh(self.activation(maps + shortcuts), _stack(picked, pairs)))
        if linear := _select(branches, INVERTED):
            # Without an activation behind them, the last norms can weigh them.
            factors = _stack(picked, linear)[:, None]
            factors = factors if outputs.mask is None else factors * outputs.mask
            maps = _normalise(linear, candidates, factors, outputs)
            terms.append(maps if len(linear) == 1 else maps.unflatten(1, (len(linear), -1)).sum(1))
        added = [weight for operation, weight in picked.items() if operation.kind in (INVERTED, SKIP)]
        if added and self.layout.keeps_shape:
            terms.append(x * sum(added[1:], start=added[0]))
        return sum(terms[1:], start=terms[0])

    def keep(self, columns: Iterable[int]) -> None:
        """Removes the modules of all other candidates."""
        kept = {str(self.operations[column]) for column in columns}
        for name in set(self.candidates) - kept:
            del self.candidates[name]


def _select(branches: Maps, *kinds: str) -> Maps:
    """The branches of these kinds."""
    return {operation: branch for operation, branch in branches.items() if operation.kind in kinds}


def _normalise(maps: Maps, candidates: Candidates, factors: Tensor | None, outputs: Channels) -> Tensor:
    """The last norms of these candidates, whose results then lie side by side."""
    norms = [candidates[operation].norm for operation in maps]
    return affine_batch_norm(join(maps.values()), norms, factors, [outputs.count] * len(maps))


def _compute_shortcut(x: Tensor, pair: ResidualPair, outputs: Channels) -> Tensor:
    if pair.shortcut is None:
        return x
    weight, stride = narrow(pair.shortcut.weight, outputs.count, x.shape[1]), pair.layout.stride
    if outputs.mask is not None:
        weight = weight * outputs.mask[:, None, None, None]
    return pointwise(x, weight) if stride == 1 else F.conv2d(drop_unread_edge(x, weight), weight, stride=stride)


def _stack(weights: Mapping[Operation, Tensor], operations: Iterable[Operation]) -> Tensor:
    """The weights of these operations as a vector."""
    return torch.stack([weights[operation] for operation in operations])


def _weigh(maps: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of the results of candidates that lie side by side."""
    if len(weights) == 1:
        return maps * weights[0]
    weighed: Tensor = (maps.unflatten(1, (len(weights), -1)) * weights[:, None, None, None]).sum(1)
    return weighed
