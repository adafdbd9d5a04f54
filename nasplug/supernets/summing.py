"""Sums of maps that take no new memory where they need not.

Memory that is written to again is in the cache, and was taken before: on a CPU that makes a supernet whose maps are
large 6 to 19 % faster. A total may be written over unless someone keeps it: sums, products, convolutions and batch
norms are not kept for gradients, the results of ReLUs are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

K = TypeVar("K")


def add(totals: dict[K, Tensor], key: K, term: Tensor) -> None:
    """Adds a term to the total of `key` as in `plus`; the first one is the total."""
    totals[key] = plus(totals[key], term) if key in totals else term


def add_side_by_side(totals: dict[int, Tensor], sums: Mapping[tuple[int, ...], Tensor]) -> None:
    """Adds sums for several nodes, which lie side by side in channels, to the totals of these nodes."""
    for nodes, total in sums.items():
        parts = total.chunk(len(nodes), 1) if len(nodes) > 1 else (total,)
        for node, part in zip(nodes, parts, strict=True):
            add(totals, node, part)


def add_weighed(totals: dict[int, Tensor], nodes: Sequence[int], x: Tensor, weights: Tensor) -> None:
    """Adds the map `x`, times one of the weights for each node, to the totals of these nodes as in `plus_weighed`."""
    totals.update(zip(nodes, plus_weighed([totals.get(node) for node in nodes], x, weights), strict=True))


def plus(total: Tensor, term: Tensor) -> Tensor:
    """The sum, in the place of `total` where that is no view; nobody may read `total` afterwards."""
    if total._base is None and total.dtype == term.dtype:
        return total.add_(term)
    return total + term


def plus_weighed(totals: Sequence[Tensor | None], x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """Adds `weights[i] * x` to each `totals[i]`, where None is nothing yet; `x` and totals are maps (N, C, H, W).

    In the place of the totals as in `plus`; they are different tensors, and none of them shares memory with `x`.
    Weights are rounded to the precision of `x`. On a CPU one map for each total is several times as fast as all totals
    side by side in one map, where a weight holds only for the few channels of a pixel that lie together in memory.
    """
    found: tuple[Tensor, ...] = _PlusWeighed.apply(x, weights.to(x.dtype), *totals)
    return found


class _PlusWeighed(torch.autograd.Function):
    """The sums of `plus_weighed`. Their gradients are differentiable in turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, *totals: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, weights)
        sums, replaced = [], []
        for total, weight in zip(totals, weights.unbind(), strict=True):
            if total is None:
                sums.append(x * weight)
            elif total._base is None and total.dtype == x.dtype and total is not x:
                total.addcmul_(x, weight)
                sums.append(total)
                replaced.append(total)
            else:
                sums.append(total.addcmul(x, weight))
        ctx.mark_dirty(*replaced)
        return tuple(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        # Dense maps, also for those who get the gradients of the totals: on slices of maps everything is slower.
        gradients = tuple(each.contiguous(memory_format=torch.channels_last) for each in gradients)
        asked_x, asked_weights, *asked_totals = ctx.needs_input_grad
        by = _by_maps if x.device.type == "cpu" else _by_matrix
        by_x, by_weights = by(x, weights, gradients, asked_x=asked_x, asked_weights=asked_weights)
        return by_x, by_weights, *(each if asked else None for each, asked in zip(gradients, asked_totals, strict=True))


Gradients = tuple[Tensor | None, Tensor | None]


def _by_maps(
    x: Tensor, weights: Tensor, gradients: Sequence[Tensor], *, asked_x: bool, asked_weights: bool
) -> Gradients:
    """The gradients of `x` and of the weights, map by map: on a CPU twice as fast as the other way."""
    by_x = by_weights = None
    if asked_x:
        by_x = gradients[0] * weights[0]
        for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
            by_x.addcmul_(gradient, weight)
    if asked_weights:
        pixels = _pixels(x)
        by_weights = torch.stack([torch.dot(_pixels(each), pixels.to(each.dtype)) for each in gradients])
    return by_x, by_weights


def _by_matrix(
    x: Tensor, weights: Tensor, gradients: Sequence[Tensor], *, asked_x: bool, asked_weights: bool
) -> Gradients:
    """The same as products with the matrix of all gradients: three kernels on a GPU, for any number of totals."""
    rows = torch.stack([_pixels(each) for each in gradients])
    by_x = by_weights = None
    if asked_x:
        count, channels, height, width = x.shape
        by_x = (weights.to(rows.dtype) @ rows).view(count, height, width, channels).permute(0, 3, 1, 2)
    if asked_weights:
        by_weights = rows @ _pixels(x).to(rows.dtype)
    return by_x, by_weights


def _pixels(x: Tensor) -> Tensor:
    """All values of a map in the order of `torch.channels_last`, as one vector."""
    return x.permute(0, 2, 3, 1).reshape(-1)
