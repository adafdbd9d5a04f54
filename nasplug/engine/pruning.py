"""Removing the modules of candidates that a schedule has deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from nasplug.errors import RunFailure
from nasplug.parts import PruningSchedule, Supernet
from nasplug.parts.optimizer import parameters_of


def remove_deleted_candidates(
    net: Supernet,
    schedule: PruningSchedule,
    weight_optimizer: torch.optim.Optimizer,
    trained: Callable[[], Mapping[str, nn.Parameter]],
) -> None:
    """Removes the modules of deleted candidates from the network, and their parameters from its torch optimizer.

    `trained` gives the parameters that are left to train. A candidate that is deleted weighs 0 at once, so this only
    saves time and memory. Raises RunFailure, naming the schedule, if a choice has fewer candidates left than every
    genotype holds.
    """
    for choice, columns in zip(net.choices, net.choices.active_columns, strict=True):
        if len(columns) < choice.at_least:
            raise RunFailure(
                f"The schedule {type(schedule).__name__} left {len(columns)} candidates of the choice "
                f"'{choice.name}', of which every genotype holds {choice.at_least}; it must delete with "
                f"Choices.delete, which sees to that."
            )
    net.prune()
    left = {id(parameter) for parameter in trained().values()}
    for parameter in parameters_of(weight_optimizer):
        if id(parameter) not in left:
            weight_optimizer.state.pop(parameter, None)
    for group in weight_optimizer.param_groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) in left]
