"""What the candidates of one layer of a supernet compute up to their last batch norm, side by side.

All candidates read the same map. The convolutions of one kernel size are one, the first one of a residual pair among
them; all expansions are one matrix product; depthwise convolutions of one kernel size are one, with one batch norm.
Results are maps (N, outputs.count, H', W') by operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.builtin.compact.channels import Channels, join, narrow
from nasplug.builtin.compact.genotype import CONV, INVERTED, POOL, RESIDUAL, SEPARABLE, Operation
from nasplug.builtin.compact.operations import (
    Convolution,
    InvertedResidual,
    LayerOperation,
    PooledConvolution,
    ResidualPair,
    Separable,
    average_pool,
)
from nasplug.supernets import affine_batch_norm, depthwise, pointwise

Candidates = Mapping[Operation, LayerOperation]
Maps = dict[Operation, Tensor]


def compute_branches(x: Tensor, candidates: Candidates, inputs: Channels, outputs: Channels) -> Maps:
    """The branches of all candidates before their last norms; `inputs` are the channels of `x`."""
    convolved = _convolve(x, candidates, outputs)
    pairs = {operation: convolved.pop(operation) for operation in list(convolved) if operation.kind == RESIDUAL}
    if pairs:
        convolved |= _finish_pairs(pairs, candidates, outputs)
    return convolved | _separate(x, candidates, inputs, outputs) | _pool(x, candidates, outputs)


def _convolve(x: Tensor, candidates: Candidates, outputs: Channels) -> Maps:
    """Convolutions, and the first ones of residual pairs."""
    maps = Maps()
    for operations in _by_kernel(candidates, CONV, RESIDUAL).values():
        modules = [cast("Convolution | ResidualPair", candidates[operation]) for operation in operations]
        weight = torch.cat([narrow(module.convolution.weight, outputs.count, x.shape[1]) for module in modules])
        convolved = F.conv2d(x, weight, None, modules[0].layout.stride, modules[0].convolution.padding)
        maps |= zip(operations, convolved.split(outputs.count, 1), strict=True)
    return maps


def _finish_pairs(maps: Maps, candidates: Candidates, outputs: Channels) -> Maps:
    """The second convolutions of residual pairs, from the results of the first ones."""
    modules = [cast("ResidualPair", candidates[operation]) for operation in maps]
    norms, sizes = [module.first_norm for module in modules], [outputs.count] * len(maps)
    inner = affine_batch_norm(join(maps.values()), norms, outputs.factors(len(maps)), sizes)
    parts = modules[0].activation(inner).split(outputs.count, 1)
    return {
        operation: F.conv2d(
            part, narrow(module.second.weight, outputs.count, outputs.count), None, 1, module.second.padding
        )
        for operation, module, part in zip(maps, modules, parts, strict=True)
    }


def _separate(x: Tensor, candidates: Candidates, inputs: Channels, outputs: Channels) -> Maps:
    """Depthwise separable convolutions and inverted residuals."""
    maps = Maps()
    groups = _by_kernel(candidates, SEPARABLE, INVERTED)
    expanded = _expand(x, candidates, groups, inputs)
    for kernel, operations in groups.items():
        modules = [cast("Separable", candidates[operation]) for operation in operations]
        expansions = [max(1, operation.expansion) for operation in operations]
        sizes = [expansion * inputs.count for expansion in expansions]
        weight = torch.cat([narrow(module.depthwise.weight, size) for module, size in zip(modules, sizes, strict=True)])
        inner = depthwise(join([x] * expansions.count(1) + expanded.get(kernel, [])), weight, modules[0].layout.stride)
        norms = [module.depthwise_norm for module in modules]
        inner = affine_batch_norm(inner, norms, inputs.expanded_factors(expansions), sizes)
        parts = modules[0].activation(inner).split(sizes, 1)
        for operation, module, part in zip(operations, modules, parts, strict=True):
            maps[operation] = pointwise(part, narrow(module.project.weight, outputs.count, part.shape[1]))
    return maps


def _expand(
    x: Tensor, candidates: Candidates, groups: Mapping[int, Iterable[Operation]], inputs: Channels
) -> dict[int, list[Tensor]]:
    """By kernel the expanded maps of inverted residuals, side by side in one map; none where nothing expands."""
    wide = {
        kernel: expanding
        for kernel, operations in groups.items()
        if (expanding := [operation for operation in operations if operation.expansion > 1])
    }
    if not wide:
        return {}
    operations = [operation for group in wide.values() for operation in group]
    modules = [cast("InvertedResidual", candidates[operation]) for operation in operations]
    expansions = [operation.expansion for operation in operations]
    sizes = [expansion * inputs.count for expansion in expansions]
    layers: Any = [(module.expand, module.expand_norm) for module in modules]
    weight = torch.cat(
        [narrow(layer.weight, size, inputs.count) for (layer, _), size in zip(layers, sizes, strict=True)]
    )
    norms = [norm for _, norm in layers]
    inner = affine_batch_norm(pointwise(x, weight), norms, inputs.expanded_factors(expansions), sizes)
    totals = [sum(operation.expansion for operation in group) * inputs.count for group in wide.values()]
    parts = modules[0].activation(inner).split(totals, 1)
    return {kernel: [part] for kernel, part in zip(wide, parts, strict=True)}


def _pool(x: Tensor, candidates: Candidates, outputs: Channels) -> Maps:
    """The pooled convolution, if it is a candidate."""
    return {
        operation: pointwise(
            average_pool(x, module.layout),
            narrow(cast("PooledConvolution", module).project.weight, outputs.count, x.shape[1]),
        )
        for operation, module in candidates.items()
        if operation.kind == POOL
    }


def _by_kernel(operations: Iterable[Operation], *kinds: str) -> dict[int, list[Operation]]:
    """Operations of these kinds by the size of their kernel; in each group those that expand nothing come first."""
    groups = dict[int, list[Operation]]()
    for operation in sorted(operations, key=lambda operation: operation.expansion > 1):
        if operation.kind in kinds:
            groups.setdefault(operation.kernel, []).append(operation)
    return groups
