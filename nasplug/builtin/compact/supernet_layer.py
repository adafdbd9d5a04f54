"""One layer of a supernet: the weighted sum of its candidates, at several widths.

All candidates read the same map, and what they do alike is computed side by side: convolutions of one kernel size, the
first one of a residual pair among them; all expansions; depthwise convolutions of one kernel size; the last batch norms
of candidates that go on alike. Exactly equal to computing one after the other. Every candidate keeps a module with its
own parameters, so that deleting the candidate deletes them.

A narrower layer consists of the first channels of the widest one. So only as many channels are computed as the widest
width that counts has, and a mask scales the channels that narrower ones lack (Wan et al., FBNetV2, CVPR 2020). It
scales the affine parameters of batch norms, so that with a single width a layer computes exactly the layer of the
stand-alone network of that width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeVar, cast

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.compact.genotype import CONV, INVERTED, POOL, RESIDUAL, SEPARABLE, SKIP, Operation
from nasplug.builtin.compact.layout import LayerLayout
from nasplug.builtin.compact.operations import (
    Activation,
    InvertedResidual,
    LayerOperation,
    ResidualPair,
    Separable,
    average_pool,
    make_operation,
)
from nasplug.supernets import Norm, affine_batch_norm, depthwise, pointwise
from nasplug.supernets.convolution import drop_unread_edge

M = TypeVar("M", bound=LayerOperation)


@attrs.frozen(eq=False)
class Channels:
    """The channels of a map that are computed, always the first ones."""

    count: int
    mask: Tensor | None
    """(count,): by how much each of them counts, the sum of the weights of the widths that have it; None: fully."""

    def repeated(self, times: int) -> Tensor | None:
        """The mask of a map with `times` as many channels, neighbours of which stem from one channel."""
        return self.mask if self.mask is None or times == 1 else self.mask.repeat_interleave(times)


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

    def forward(self, x: Tensor, columns: Sequence[int], weights: Tensor, reads: Channels, gives: Channels) -> Tensor:
        """(N, reads.count, H, W) to (N, gives.count, H', W').

        `columns` are the numbers of the operations that are computed, `weights` the weights of all operations.
        """
        # Selected by numbers that the host knows: an index tensor would have to be copied to the device.
        by_column = weights.unbind(0)
        picked = {self.operations[column]: by_column[column] for column in columns}
        convolved = self._convolve(x, picked, gives)
        maps = convolved | self._separate(x, picked, reads, gives) | self._pool(x, picked, gives)
        groups = {
            kind: {operation: maps[operation] for operation in maps if _group_of(operation) == kind}
            for kind in (CONV, RESIDUAL, INVERTED)
        }
        terms = []
        if groups[CONV]:
            terms.append(_sum(self.activation(self._normalise(groups[CONV], gives)), groups[CONV], picked))
        if groups[RESIDUAL]:
            pairs = self._finish_pairs(x, groups[RESIDUAL], gives)
            terms.append(_sum(self.activation(pairs), groups[RESIDUAL], picked))
        if groups[INVERTED]:
            terms.append(self._add_linear(groups[INVERTED], picked, gives))
        kept = [weight for operation, weight in picked.items() if operation.kind in (INVERTED, SKIP)]
        if kept and self.layout.keeps_shape:
            terms.append(x * sum(kept[1:], start=kept[0]))
        return sum(terms[1:], start=terms[0])

    def keep(self, columns: Iterable[int]) -> None:
        """Removes the modules of all other candidates."""
        kept = {str(self.operations[column]) for column in columns}
        for name in set(self.candidates) - kept:
            del self.candidates[name]

    def _module(self, operation: Operation, cls: type[M]) -> M:
        return cast("M", self.candidates[str(operation)])

    def _convolve(self, x: Tensor, picked: Iterable[Operation], gives: Channels) -> dict[Operation, Tensor]:
        """By convolution the map before its norm, by residual pair that before its first norm."""
        maps = dict[Operation, Tensor]()
        for kernel, group in _by_kernel(picked, (CONV, RESIDUAL)).items():
            modules = [cast("ResidualPair", self.candidates[str(operation)]) for operation in group]
            weight = torch.cat([narrow(module.convolution.weight, gives.count, x.shape[1]) for module in modules])
            side_by_side = F.conv2d(x, weight, None, self.layout.stride, kernel // 2)
            maps |= zip(group, side_by_side.split(gives.count, 1), strict=True)
        return maps

    def _separate(
        self, x: Tensor, picked: Iterable[Operation], reads: Channels, gives: Channels
    ) -> dict[Operation, Tensor]:
        """By candidate with a depthwise convolution its map before its last norm."""
        maps = dict[Operation, Tensor]()
        groups = _by_kernel(picked, (SEPARABLE, INVERTED))
        expanded = self._expand(x, [operation for group in groups.values() for operation in group], reads)
        for kernel, group in groups.items():
            modules = [self._module(operation, Separable) for operation in group]
            sizes = [max(1, operation.expansion) * reads.count for operation in group]
            inner = _join([x] * sum(operation.expansion < 2 for operation in group) + expanded.get(kernel, []))
            weight = torch.cat(
                [narrow(module.depthwise.weight, size) for module, size in zip(modules, sizes, strict=True)]
            )
            inner = depthwise(inner, weight, self.layout.stride)
            factors = _masks_of(group, reads)
            inner = affine_batch_norm(inner, [module.depthwise_norm for module in modules], factors, sizes)
            parts = self.activation(inner).split(sizes, 1)
            for operation, module, part in zip(group, modules, parts, strict=True):
                maps[operation] = pointwise(part, narrow(module.project.weight, gives.count, part.shape[1]))
        return maps

    def _expand(self, x: Tensor, operations: Iterable[Operation], reads: Channels) -> dict[int, list[Tensor]]:
        """By kernel the expanded maps of its inverted residuals, side by side in one map."""
        wide = [operation for operation in operations if operation.expansion > 1]
        if not wide:
            return {}
        modules = [self._module(operation, InvertedResidual) for operation in wide]
        sizes = [operation.expansion * reads.count for operation in wide]
        convolutions, norms = zip(*((module.expand, module.expand_norm) for module in modules), strict=True)
        weight = torch.cat(
            [
                narrow(convolution.weight, size, reads.count)
                for convolution, size in zip(convolutions, sizes, strict=True)
            ]
        )
        maps = affine_batch_norm(pointwise(x, weight), norms, _masks_of(wide, reads), sizes)
        kernels = list(dict.fromkeys(operation.kernel for operation in wide))
        totals = [
            sum(size for operation, size in zip(wide, sizes, strict=True) if operation.kernel == kernel)
            for kernel in kernels
        ]
        parts = self.activation(maps).split(totals, 1)
        return {kernel: [part] for kernel, part in zip(kernels, parts, strict=True)}

    def _pool(self, x: Tensor, picked: Iterable[Operation], gives: Channels) -> dict[Operation, Tensor]:
        """The pooled convolution before its norm, if it is picked."""
        maps = dict[Operation, Tensor]()
        for operation in picked:
            if operation.kind == POOL:
                module = cast("Separable", self.candidates[str(operation)])
                pooled = average_pool(x, self.layout.stride)
                maps[operation] = pointwise(pooled, narrow(module.project.weight, gives.count, x.shape[1]))
        return maps

    def _finish_pairs(self, x: Tensor, maps: dict[Operation, Tensor], gives: Channels) -> Tensor:
        """Residual pairs side by side, before their last activation, from their maps before the first norm."""
        modules = [self._module(operation, ResidualPair) for operation in maps]
        sizes, factors = [gives.count] * len(maps), _rows(gives, len(maps))
        inner = affine_batch_norm(_join(maps.values()), [module.first_norm for module in modules], factors, sizes)
        parts = self.activation(inner).split(gives.count, 1)
        branches = _join(
            F.conv2d(part, narrow(module.second.weight, gives.count, gives.count), padding=operation.kernel // 2)
            for operation, module, part in zip(maps, modules, parts, strict=True)
        )
        branches = affine_batch_norm(branches, [module.norm for module in modules], factors, sizes)
        return branches + _join(self._shortcut(x, module, gives) for module in modules)

    def _shortcut(self, x: Tensor, module: ResidualPair, gives: Channels) -> Tensor:
        if module.shortcut is None:
            return x
        weight = narrow(module.shortcut.weight, gives.count, x.shape[1])
        if gives.mask is not None:
            weight = weight * gives.mask[:, None, None, None]
        stride = self.layout.stride
        return F.conv2d(drop_unread_edge(x, weight), weight, stride=stride) if stride == 2 else pointwise(x, weight)

    def _normalise(self, maps: dict[Operation, Tensor], gives: Channels) -> Tensor:
        norms = [cast("LayerOperation", self.candidates[str(operation)]).norm for operation in maps]
        return affine_batch_norm(_join(maps.values()), norms, _rows(gives, len(maps)), [gives.count] * len(maps))

    def _add_linear(self, maps: dict[Operation, Tensor], picked: dict[Operation, Tensor], gives: Channels) -> Tensor:
        """The weighted sum of inverted residuals without what they read; their last norms weigh them."""
        norms = [cast("LayerOperation", self.candidates[str(operation)]).norm for operation in maps]
        factors = torch.stack([picked[operation] for operation in maps])[:, None]
        if gives.mask is not None:
            factors = factors * gives.mask
        weighed = affine_batch_norm(_join(maps.values()), norms, factors, [gives.count] * len(maps))
        return weighed if len(maps) == 1 else weighed.unflatten(1, (len(maps), -1)).sum(1)


def narrow(weight: Tensor, outputs: int, inputs: int | None = None) -> Tensor:
    """The kernel of the first output channels and, if given, the first input channels of a convolution."""
    if inputs is not None and inputs < weight.shape[1]:
        weight = weight[:, :inputs]
    return weight[:outputs] if outputs < weight.shape[0] else weight


def _group_of(operation: Operation) -> str:
    """Candidates that go on alike after their last convolution: those with an activation, pairs, linear ones."""
    return operation.kind if operation.kind in (RESIDUAL, INVERTED) else CONV


def _by_kernel(operations: Iterable[Operation], kinds: Sequence[str]) -> dict[int, list[Operation]]:
    """Candidates of these kinds by the size of their kernel; those that expand nothing come first."""
    groups = dict[int, list[Operation]]()
    for operation in sorted(operations, key=lambda operation: operation.expansion > 1):
        if operation.kind in kinds:
            groups.setdefault(operation.kernel, []).append(operation)
    return groups


def _join(maps: Iterable[Tensor]) -> Tensor:
    """Maps side by side."""
    parts = list(maps)
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _masks_of(operations: Sequence[Operation], reads: Channels) -> Tensor | None:
    """The mask of the inner maps of these candidates side by side, as factors of their channels."""
    masks = [mask for operation in operations if (mask := reads.repeated(max(1, operation.expansion))) is not None]
    return torch.cat(masks)[:, None] if masks else None


def _rows(channels: Channels, count: int) -> Tensor | None:
    """The mask as factors of `count` norms."""
    return None if channels.mask is None else channels.mask.expand(count, -1)


def _sum(maps: Tensor, operations: Iterable[Operation], picked: dict[Operation, Tensor]) -> Tensor:
    """The weighted sum of the results of these candidates, which lie side by side."""
    weights = torch.stack([picked[operation] for operation in operations])
    if len(weights) == 1:
        return maps * weights[0]
    weighed: Tensor = (maps.unflatten(1, (len(weights), -1)) * weights[:, None, None, None]).sum(1)
    return weighed
