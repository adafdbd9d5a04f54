"""One phase of a run: what trains, on what, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Protocol

import attrs
import torch
from torch import Tensor, nn

from nasplug.engine.weights import weights_mover
from nasplug.parts import ArchitectureOptimizer, Batch, Choices, Movers, Network, PruningSchedule, Stage, Supernet
from nasplug.parts.optimizer import parameters_of
from nasplug.values import Clock, Genotype, Now, Step, Training, Verdict


class Stream(Protocol):
    """The batches of one split: a pure function of the step, so that resuming needs no state."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the split."""

    def batch(self, step: int) -> Batch:
        """The batch of a step."""


@attrs.define(eq=False)
class Phase:
    """The whole state of one training. `step` and `stage` say where it stands; a checkpoint holds the rest."""

    name: str
    net: Network
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    stages: Sequence[Stage]
    training: Training
    streams: Mapping[str, Stream]
    device: torch.device
    bf16: bool = False
    decode: Callable[[], Genotype] | None = None
    """Reads the architecture that the network stands for now; None for a network that has just one."""
    stage: int = 0
    step: int = 0
    """Steps done in this stage."""
    clock: Clock = attrs.field(init=False)
    choices: Choices = attrs.field(init=False)
    movers: Movers = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(steps_per_epoch=self._steps_per_epoch(), epochs=self.training.epochs)
        self.choices = self.net.choices if isinstance(self.net, Supernet) else Choices(())
        self.choices.relaxation = self.optimizer.relax
        self.build_movers()

    def begin(self, generator: torch.Generator) -> None:
        """Sets alpha and fits the schedule to the length of the phase; not called when a phase is resumed."""
        self.optimizer.initialise(self.choices, generator)
        self.schedule.begin(self.choices, self.clock)

    def stages_left(self) -> Iterator[Stage]:
        """Each stage not yet finished; the movers are built anew for every stage after the one resumed."""
        first = self.stage
        for number in range(first, len(self.stages)):
            if number > first:
                self.stage, self.step = number, 0
                self.build_movers()
            yield self.stages[number]

    def build_movers(self) -> None:
        """Fresh torch optimizers for the weights (adaptors of the stage included) and for alpha."""
        stage = self.stages[self.stage]
        self.movers = Movers(
            weights=weights_mover(self.training, list(self.weights().values())),
            alpha=self.optimizer.alpha_mover(self.choices.alpha),
            clip_weights=self.training.clip,
            clip_alpha=self.optimizer.clip_alpha(),
            buffers=tuple(self.net.buffers()),
        )
        self.net.train()
        stage.train()

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters that move with the weights, by name: those of the network and of the stage."""
        named = {f"net.{name}": each for name, each in self.net.named_parameters() if each is not self.choices.alpha}
        named |= {f"stage.{name}": each for name, each in self.stages[self.stage].named_parameters()}
        return {name: each for name, each in named.items() if each.requires_grad}

    def batches(self, now: Now) -> Callable[[str], Batch]:
        """The batch of each split at this moment, made when first asked for; sets rates and drop path as well."""
        for group in self.movers.weights.param_groups:
            group["lr"] = self.training.rate(now)
        self.net.drop_path = self.training.drop_path * now.epoch / now.epochs
        return cache(lambda split: self.streams[split].batch(now.step))

    def precision(self) -> AbstractContextManager[None]:
        """The arithmetic of the forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def prune(self) -> None:
        """Removes deleted candidates from the network and from the optimizer of the weights."""
        if not isinstance(self.net, Supernet):
            return
        self.net.prune()
        left = {id(each) for each in self.weights().values()}
        for each in parameters_of(self.movers.weights):
            if id(each) not in left:
                self.movers.weights.state.pop(each, None)
        for group in self.movers.weights.param_groups:
            group["params"] = [each for each in group["params"] if id(each) in left]

    def advance(self, now: Now, loss: Tensor, verdict: Verdict) -> Step:
        """Counts the step and makes its event."""
        self.step = now.step + 1
        taken = verdict.snapshot is not None and self.decode is not None
        return Step(
            step=self.step,
            epoch=now.epoch,
            loss=float(loss),
            measures={**verdict.measures, "deleted": verdict.deleted} if len(self.choices) else verdict.measures,
            snapshot=self.decode() if taken and self.decode else None,
            reason=verdict.snapshot if taken else None,
            stop=verdict.stop,
        )

    def _steps_per_epoch(self) -> int:
        """An epoch is one pass over the split that the weights see."""
        moment = Now(step=0, steps=1, steps_per_epoch=1)
        splits = [turn.split for turn in self.optimizer.turns(moment) if turn.moves_weights]
        return self.streams[splits[0]].steps_per_epoch
