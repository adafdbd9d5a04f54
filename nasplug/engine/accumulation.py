"""Gradients of a batch that is too large for the memory, part by part."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import attrs
import torch
from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Batch, Objective, TorchOptimizers
from nasplug.values import Update

Batches = Callable[[str], Batch]
"""The batch of a split in one step, made when it is first asked for."""


def accumulate_gradients(
    optimizer: ArchitectureOptimizer,
    update: Update,
    batches: Batches,
    parts: int,
    objective_on: Callable[[Batches], Objective],
    torch_optimizers: TorchOptimizers,
) -> Tensor:
    """Leaves in `grad` the mean of the gradients of `parts` parts of the batches; returns the mean loss, detached.

    The parts are equal, so that a loss that is a mean over images has the gradient of the whole batch; one that weighs
    classes has it, too (`Batch.mean_weight`). Norms that use batch statistics see one part at a time. What `optimizer`
    makes of a gradient, such as that of a second-order step, it makes of each part.
    """
    parameters = torch_optimizers.parameters(update)
    sums: dict[int, Tensor] = {}
    losses: list[Tensor] = []
    for number in range(parts):
        own = cache(partial(_take_part, batches, number, parts))
        losses.append(optimizer.compute_gradients(update, objective_on(own), torch_optimizers))
        for place, parameter in enumerate(parameters):
            if parameter.grad is not None:
                mean = parameter.grad / parts  # not in place: the gradient may be a recorded graph's
                sums[place] = mean + sums[place] if place in sums else mean
            parameter.grad = None
    for place, gradient in sums.items():
        parameters[place].grad = gradient
    return torch.stack(losses).mean()


def _take_part(batches: Batches, number: int, parts: int, split: str) -> Batch:
    """The part of this number, counted from 0, of the batch of a split in equal parts."""
    batch = batches(split)
    images, labels = (torch.tensor_split(each, parts)[number] for each in (batch.images, batch.labels))
    whole = None if batch.whole is None else batch.whole // parts
    mean_weight = None if batch.class_weights is None else batch.class_weights[batch.labels].mean()
    return attrs.evolve(batch, images=images, labels=labels, whole=whole, mean_weight=mean_weight)
