"""One update of an architecture optimizer, as a trainer makes it."""

from __future__ import annotations

from torch import Tensor

from nasplug.parts import ArchitectureOptimizer, Objective, TorchOptimizers
from nasplug.values import Update


def make_update(
    optimizer: ArchitectureOptimizer, update: Update, objective: Objective, torch_optimizers: TorchOptimizers
) -> Tensor:
    loss = optimizer.compute_gradients(update, objective, torch_optimizers)
    torch_optimizers.clip_gradients(update)
    torch_optimizers.step(update)
    return loss
