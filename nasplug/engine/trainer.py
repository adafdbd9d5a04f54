"""One phase of a run: what trains, on what, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Protocol

import attrs
import torch
from torch import Tensor, nn

from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.engine.ahead.graph_keys import key_of
from nasplug.engine.optimizers import make_weight_optimizer
from nasplug.engine.step_events import HostStep
from nasplug.errors import RunFailure
from nasplug.parts import (
    ArchitectureOptimizer,
    Batch,
    Choices,
    Network,
    PruningSchedule,
    SearchSpace,
    Stage,
    Supernet,
    TorchOptimizers,
)
from nasplug.parts.choice import Columns
from nasplug.parts.optimizer import parameters_of
from nasplug.values import Genotype, Step, StepClock, StepInfo, Training

WORTH_RECORDING = 1 / 16
"""Share of the candidates that must be gone before what is left is recorded anew."""


class Stream(Protocol):
    """The batches of one split: a pure function of the step, so that resuming needs no state."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the split."""

    def batch(self, step: int) -> Batch:
        """The batch of a step."""


@attrs.define(eq=False)
class Trainer:
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
    space: SearchSpace | None = None
    """The space of the supernet; None for a network that has just one architecture."""
    measure: Callable[[StepInfo], Mapping[str, float]] | None = None
    """Takes figures for the event of a step, without leaving a trace in the training.

    It is told the moment before the step; a step that stops its stage counts as the stage's last.
    """
    poll: int = 1
    """Steps that the device may be ahead of the host, where all parts allow it."""
    graph_cache: GraphCache | None = None
    """Recordings of steps, where there is a device that takes them."""
    stage: int = 0
    step: int = 0
    """Steps done in this stage."""
    choices: Choices = attrs.field(init=False)
    torch_optimizers: TorchOptimizers = attrs.field(init=False)
    _held: Tensor | None = attrs.field(init=False)
    """The rows of alpha that move in this stage, bool (choices, 1); None: all."""
    _present: Columns = attrs.field(init=False)
    """The candidates whose modules are there."""
    _deleted: int = attrs.field(init=False, default=0)
    """Candidates that are deleted and not yet removed."""
    version: int = attrs.field(init=False, default=0)
    """Grows whenever modules are removed or the movers are built anew."""

    def __attrs_post_init__(self) -> None:
        self.choices = self.net.choices if isinstance(self.net, Supernet) else Choices(())
        self.choices.relaxation = self.optimizer.relax
        self._present = self.choices.computed_columns
        self.build_torch_optimizers()

    @property
    def clock(self) -> StepClock:
        """The moments of the present stage."""
        return StepClock(self._steps_per_epoch(), self.training.epochs, self.stage)

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return len(self.stages) * self.clock.steps

    @property
    def steps_done(self) -> int:
        """Steps of all stages that are over, those that a schedule cut short included."""
        return self.stage * self.clock.steps + self.step

    @property
    def over(self) -> bool:
        """Whether no stage is left to train."""
        return self.steps_done == self.steps

    def begin(self, generator: torch.Generator) -> None:
        """Sets alpha and fits the schedule to the length of the phase; not called when a phase is resumed."""
        self.optimizer.initialise(self.choices, generator)
        whole = StepClock(self._steps_per_epoch(), self.training.epochs * len(self.stages))
        self.schedule.begin(self.choices, whole)

    def stages_left(self) -> Iterator[Stage]:
        """Each stage not yet finished; the movers are built anew for every stage after the one resumed."""
        first = self.stage
        for number in range(first, len(self.stages)):
            if number > first:
                self.stage, self.step = number, 0
                self.build_torch_optimizers()
            yield self.stages[number]

    def build_torch_optimizers(self) -> None:
        """Fresh torch optimizers for the weights (adaptors of the stage included) and for alpha."""
        stage = self.stages[self.stage]
        self._held = None if stage.blocks is None else self.choices.rows_of(stage.blocks).unsqueeze(1)
        self.version += 1
        if self.graph_cache is not None:
            self.graph_cache.forget()
        self.torch_optimizers = TorchOptimizers(
            weights=self._weights_mover(stage),
            alpha=self.optimizer.make_alpha_optimizer(self.choices.alpha),
            clip_weights=self.training.clip,
            clip_alpha=self.optimizer.clip_alpha(),
            buffers=tuple(self.net.buffers()),
        )
        self.net.train()
        stage.train()

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters that move with the weights, by name: those of the stage's blocks and of the stage itself."""
        stage = self.stages[self.stage]
        inside = None if stage.blocks is None else {id(each) for number in stage.blocks for each in self._block(number)}
        named = {
            f"net.{name}": each
            for name, each in self.net.named_parameters()
            if each is not self.choices.alpha and (inside is None or id(each) in inside)
        }
        named |= {f"stage.{name}": each for name, each in stage.named_parameters()}
        return {name: each for name, each in named.items() if each.requires_grad}

    def key(self, now: StepInfo) -> Hashable | None:
        """What the operations of a step depend on beyond tensors that stay in place; None if a part does not know."""
        stage = self.stages[self.stage]
        parts = (
            key_of(self.net, methods=("outputs",)),
            key_of(stage, now, methods=("forward",)),
            key_of(self.optimizer, now, methods=("relax",)),
            key_of(self.schedule, now, methods=("penalise", "after_step")),
        )
        if any(each is None for each in parts):
            return None
        with self.choices.deferring():
            return (self.stage, self.net.drop_path, self.net.dropout, self.choices.computed_columns, *parts)

    def deferring(self, now: StepInfo) -> AbstractContextManager[None]:
        """Where a step is made: the host does not look at what is deleted, if it may be ahead of it."""
        ahead = (self.poll > 1 or self.graph_cache is not None) and self.key(now) is not None
        return self.choices.deferring() if ahead else nullcontext()

    @property
    def ahead(self) -> int:
        """How many steps are made before the host looks at what came of them; an epoch's last is always looked at."""
        now = self.clock.at(self.step)
        most = min(self.poll - now.step % self.poll, now.steps_per_epoch - now.step % now.steps_per_epoch)
        unknown = (count for count in range(most) if self.key(self.clock.at(now.step + count)) is None)
        return max(1, next(unknown, most)) if most > 1 else most

    @contextmanager
    def sampled(self, now: StepInfo) -> Iterator[None]:
        """Counts only the candidates that the optimizer draws for this step; holds the alpha of other stages' blocks.

        Whatever is drawn, alpha of other blocks stays as it is, though weight decay and momentum may reach for it.
        """
        mask = self.optimizer.sample(self.space, self.choices, now) if self.space is not None else None
        before = None if self._held is None else self.choices.alpha.detach().clone()
        with nullcontext() if mask is None else self.choices.only(mask):
            yield
        if before is not None and self._held is not None:
            with torch.no_grad():
                self.choices.alpha.copy_(torch.where(self._held, self.choices.alpha, before))

    def batches(self, now: StepInfo) -> Callable[[str], Batch]:
        """The batch of each split at this moment, made when first asked for; sets rates and drop path as well."""
        for group in self.torch_optimizers.weights.param_groups:
            group["lr"] = self.training.rate(now) * group.get("factor", 1.0)
        self.net.drop_path, self.net.dropout = self.training.drop_path_at(now), self.training.dropout
        return cache(lambda split: self.streams[split].batch(now.stage * now.steps + now.step))

    def precision(self) -> AbstractContextManager[None]:
        """The arithmetic of the forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def prune(self) -> None:
        """Removes deleted candidates, if there are any, from the network and from the optimizer of the weights.

        Raises RunFailure if a choice has fewer candidates left than every genotype holds.
        """
        self.choices.refresh()
        if not isinstance(self.net, Supernet) or self.choices.computed_columns == self._present:
            return
        for choice, alive in zip(self.choices, self.choices.active_columns, strict=True):
            if len(alive) < choice.at_least:
                raise RunFailure(
                    f"The schedule {type(self.schedule).__name__} left {len(alive)} candidates of the choice "
                    f"'{choice.name}', of which every genotype holds {choice.at_least}; it must delete with "
                    f"Choices.delete, which sees to that."
                )
        self.version += 1
        self.net.prune()
        self._present, self._deleted = self.choices.computed_columns, 0
        left = {id(each) for each in self.weights().values()}
        for each in parameters_of(self.torch_optimizers.weights):
            if id(each) not in left:
                self.torch_optimizers.weights.state.pop(each, None)
        for group in self.torch_optimizers.weights.param_groups:
            group["params"] = [each for each in group["params"] if id(each) in left]

    def finish_steps(self, outcomes: Sequence[HostStep]) -> list[Step]:
        """Counts the steps that were made and makes their events. A stage that is to stop counts as gone through.

        Candidates that are gone are removed, but from a recorded step only when they are enough to be worth a new
        recording, or when the stage is over.
        """
        snapshots = [self._snapshot(each) for each in outcomes]
        last = outcomes[-1]
        self.step = last.record.now.steps if last.stop else last.record.now.step + 1
        self._deleted += sum(each.deleted for each in outcomes)
        waiting = self.graph_cache is not None and self.graph_cache.any and self.step < self.clock.steps
        if self._deleted > (WORTH_RECORDING * sum(map(len, self._present)) if waiting else 0):
            self.prune()
        sound = all(math.isfinite(each.loss) for each in outcomes)
        figures = self.measure(self.clock.at(self.step - 1)) if self.measure is not None and sound else {}
        return [
            self._event(each, snapshot, figures if each is last else {})
            for each, snapshot in zip(outcomes, snapshots, strict=True)
        ]

    def went_back(self) -> None:
        """Follows tensors and parts that were put back to an earlier moment."""
        self.choices.refresh()
        if self.graph_cache is not None:  # parts may hold new tensors
            self.graph_cache.forget()

    def _event(self, outcome: HostStep, snapshot: Genotype | None, figures: Mapping[str, float]) -> Step:
        now, measures = outcome.record.now, {**outcome.measures, **figures}
        if len(self.choices):
            measures["deleted"] = outcome.deleted
        return Step(
            step=now.stage * now.steps + now.step + 1,
            epoch=now.stage * now.epochs + now.epoch,
            loss=outcome.loss,
            measures=measures,
            snapshot=snapshot,
            reason=outcome.reason if snapshot is not None else None,
            stop=outcome.stop,
            stage=self.stage if len(self.stages) > 1 else None,
        )

    def _snapshot(self, outcome: HostStep) -> Genotype | None:
        weights, kept = outcome.record.weights, outcome.record.kept
        if outcome.reason is None or self.space is None or weights is None or kept is None:
            return None
        with self.choices.earlier(kept):
            return self.space.decode(self.choices, weights)

    def _block(self, number: int) -> Iterable[nn.Parameter]:
        if not isinstance(self.net, Supernet):
            raise TypeError("only a supernet has blocks")
        return self.net.blocks()[number].parameters()

    def _weights_mover(self, stage: Stage) -> torch.optim.Optimizer:
        """The torch optimizer of the weights, with a group of its own for every block that learns at another rate."""
        apart = [
            ({id(each) for each in (*self._block(number), *stage.learning_with(number))}, factor)
            for number, factor in sorted(stage.rates.items())
        ]
        shares: dict[float, list[nn.Parameter]] = {}
        for each in self.weights().values():
            factor = next((factor for inside, factor in apart if id(each) in inside), 1.0)
            shares.setdefault(factor, []).append(each)
        torch_optimizers = [(make_weight_optimizer(self.training, share), factor) for factor, share in shares.items()]
        for torch_optimizer, factor in torch_optimizers:
            for group in torch_optimizer.param_groups:
                group["factor"] = factor
                if torch_optimizer is not torch_optimizers[0][0]:
                    torch_optimizers[0][0].add_param_group(group)
        return torch_optimizers[0][0]

    def _steps_per_epoch(self) -> int:
        """An epoch is one pass over the split that the weights see."""
        moment = StepInfo(step=0, steps=1, steps_per_epoch=1)
        splits = [turn.split for turn in self.optimizer.updates(moment) if turn.moves_weights]
        return self.streams[splits[0]].steps_per_epoch
