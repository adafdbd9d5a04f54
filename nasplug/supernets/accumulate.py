"""Sums of feature maps, accumulated in place where autograd allows it.

Memory that is written to again is in the cache and already allocated: on a CPU this makes a supernet with large maps 6
to 19 % faster. A total may be overwritten unless autograd has saved it: it does not save the results of sums, products,
convolutions and batch norms for their gradients, but it does save those of ReLUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

K = TypeVar("K")


def add(totals: dict[K, Tensor], key: K, term: Tensor) -> None:
    """Adds `term` to the total of `key` by `accumulate`; the first term becomes the total."""
    totals[key] = accumulate(totals[key], term) if key in totals else term


def add_split(totals: dict[int, Tensor], sums: Mapping[tuple[int, ...], Tensor]) -> None:
    """Splits sums of several nodes, concatenated along the channels, and adds them to the totals of these nodes."""
    for nodes, total in sums.items():
        parts = total.chunk(len(nodes), 1) if len(nodes) > 1 else (total,)
        for node, part in zip(nodes, parts, strict=True):
            add(totals, node, part)


def add_weighted(totals: dict[int, Tensor], nodes: Sequence[int], x: Tensor, weights: Tensor) -> None:
    """Adds `weights[i] * x` to the total of `nodes[i]` for every i, by `accumulate_weighted`."""
    totals.update(zip(nodes, accumulate_weighted([totals.get(node) for node in nodes], x, weights), strict=True))


def accumulate(total: Tensor, term: Tensor) -> Tensor:
    """The sum, written to the memory of `total` unless that is a view; `total` must not be used afterwards."""
    if total._base is None and total.dtype == term.dtype:
        return total.add_(term)
    return total + term


def accumulate_weighted(totals: Sequence[Tensor | None], x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """`totals[i] + weights[i] * x` for every i, where a total of None is zero; `x` and totals are maps (N, C, H, W).

    The sums are written to the memory of the totals as in `accumulate`; totals must be different tensors, and none may
    share memory with `x`. Weights are rounded to the precision of `x`. On a CPU a map for each total is several times
    as fast as one map with all totals concatenated, in which a weight applies only to the few channels of a pixel that
    are adjacent in memory.
    """
    sums: tuple[Tensor, ...] = _AccumulateWeighted.apply(x, weights.to(x.dtype), *totals)
    return sums


class _AccumulateWeighted(torch.autograd.Function):
    """The sums of `accumulate_weighted`; their gradients are differentiable."""

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
        # Dense, for the operations that read the gradients of the totals too: everything is slower on slices of maps.
        gradients = tuple(gradient.contiguous(memory_format=torch.channels_last) for gradient in gradients)
        asked_x, asked_weights, *asked_totals = ctx.needs_input_grad
        compute = _gradients_by_map if x.device.type == "cpu" else _gradients_by_matrix
        by_x, by_weights = compute(x, weights, gradients, asked_x=asked_x, asked_weights=asked_weights)
        by_totals = (gradient if asked else None for gradient, asked in zip(gradients, asked_totals, strict=True))
        return by_x, by_weights, *by_totals


Gradients = tuple[Tensor | None, Tensor | None]


def _gradients_by_map(
    x: Tensor, weights: Tensor, gradients: Sequence[Tensor], *, asked_x: bool, asked_weights: bool
) -> Gradients:
    """The gradients of `x` and of the weights, map by map: on a CPU twice as fast as by matrix."""
    by_x = by_weights = None
    if asked_x:
        by_x = gradients[0] * weights[0]
        for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
            by_x.addcmul_(gradient, weight)
    if asked_weights:
        pixels = _flatten(x)
        by_weights = torch.stack([torch.dot(_flatten(gradient), pixels.to(gradient.dtype)) for gradient in gradients])
    return by_x, by_weights


def _gradients_by_matrix(
    x: Tensor, weights: Tensor, gradients: Sequence[Tensor], *, asked_x: bool, asked_weights: bool
) -> Gradients:
    """The same as products with a matrix of all gradients: three kernels on a GPU for any number of totals."""
    rows = torch.stack([_flatten(gradient) for gradient in gradients])
    by_x = by_weights = None
    if asked_x:
        count, channels, height, width = x.shape
        by_x = (weights.to(rows.dtype) @ rows).view(count, height, width, channels).permute(0, 3, 1, 2)
    if asked_weights:
        by_weights = rows @ _flatten(x).to(rows.dtype)
    return by_x, by_weights


def _flatten(x: Tensor) -> Tensor:
    """All values of a map in the order of `torch.channels_last`, as one vector."""
    return x.permute(0, 2, 3, 1).reshape(-1)
