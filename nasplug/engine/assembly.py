"""Putting a search together from its parts: the one place where a trainer of a supernet is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import torch

from nasplug.engine.ranks import ALONE, Ranks
from nasplug.engine.resource_term import ResourceTerm
from nasplug.engine.succession import Measure, NewSupernet, Succession
from nasplug.engine.trainer import Stream, Trainer
from nasplug.errors import InputError
from nasplug.parts import (
    ArchitectureOptimizer,
    DistillationTeacher,
    Network,
    PruningSchedule,
    SearchSpace,
    Selector,
    Supernet,
    supernet_spaces,
)
from nasplug.values import ImageShape, Training

N = TypeVar("N", bound=Network)


class SearchParts(Protocol):
    """The parts of a search."""

    @property
    def space(self) -> SearchSpace:
        """Which architectures exist."""

    @property
    def optimizer(self) -> ArchitectureOptimizer:
        """Who is updated on which split."""

    @property
    def schedule(self) -> PruningSchedule:
        """What is deleted when."""

    @property
    def teacher(self) -> DistillationTeacher:
        """What is learnt from whom."""

    @property
    def selector(self) -> Selector:
        """What is found in the end."""


def search_splits(parts: SearchParts) -> dict[str, float]:
    """The shares into which a search divides the train split, by name: those of the selector, the rest the optimizer's.

    Raises InputError if the selector leaves nothing to the optimizer.
    """
    own = parts.selector.splits()
    rest = 1 - sum(own.values())
    if rest <= 0:
        raise InputError(
            f"The selector takes {1 - rest:.0%} of the training images ({', '.join(own)}), which leaves none to train "
            f"on; let it take less."
        )
    return {**{name: rest * share for name, share in parts.optimizer.splits().items()}, **own}


def assemble_search(
    parts: SearchParts,
    net: Supernet,
    shape: ImageShape,
    training: Training,
    streams: Mapping[str, Stream],
    device: torch.device,
    *,
    teacher: Network | None = None,
    bf16: bool = False,
    make_measure: Callable[[Supernet], Measure | None] = lambda _: None,
    resource_term: ResourceTerm | None = None,
    seed: int = 0,
    ranks: Ranks = ALONE,
) -> Trainer:
    """The trainer of a supernet `net`, which is moved to `device`; it has not begun.

    `streams` are the batches of each of the optimizer's splits, `teacher` is the trained network that the
    distillation teacher asked for, if it asked for one. `make_measure` gives what measures a supernet. `resource_term`
    is moved to `device`. From `seed` follow the supernets after `net`, if the schedule asks for any. `ranks` share the
    training. Raises InputError where the teacher refuses the network, or the schedule the space.
    """
    spaces = supernet_spaces(parts.schedule, parts.space)

    def prepare(net: Supernet) -> NewSupernet:
        place_network(net, device)
        stages = [stage.to(device) for stage in parts.teacher.stages(net, shape, teacher)]
        return NewSupernet(net, stages, make_measure(net))

    first = prepare(net)
    return Trainer(
        name="search",
        net=first.net,
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        stages=first.stages,
        training=training,
        streams=streams,
        device=device,
        bf16=bf16,
        space=parts.space,
        measure=first.measure,
        resource_term=None if resource_term is None else resource_term.to(device),
        succession=Succession(len(spaces), lambda number: prepare(spaces[number].supernet(shape)), seed),
        seed=seed,
        ranks=ranks,
    )


def place_network(net: N, device: torch.device) -> N:
    """Moves a network to a device and its convolutions to channels-last layout; returns it."""
    net.to(device)
    net.to(memory_format=torch.channels_last)
    return net
