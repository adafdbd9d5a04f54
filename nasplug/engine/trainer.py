"""The one training loop: a search, a retraining and the training of a teacher are each a `Trainer` that makes steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Protocol

import attrs
import torch
from torch import Tensor, nn

from nasplug.engine.accumulation import Batches, accumulate_gradients
from nasplug.engine.optimizers import make_grouped_optimizer, set_learning_rates
from nasplug.engine.pruning import remove_deleted_candidates
from nasplug.engine.rank_draws import RankDraws
from nasplug.engine.ranks import ALONE, Ranks, lost_rank
from nasplug.engine.resource_term import ResourceTerm
from nasplug.engine.stage_plan import StagePlan
from nasplug.engine.step_events import DeviceStep, HostStep, decode_snapshot
from nasplug.engine.succession import Measure, Succession
from nasplug.errors import RunFailure
from nasplug.parts import (
    ArchitectureOptimizer,
    Batch,
    Choices,
    Network,
    Objective,
    PruningSchedule,
    SearchSpace,
    SkipDropout,
    Stage,
    Supernet,
    TorchOptimizers,
)
from nasplug.parts.choice import Columns
from nasplug.supernets.synchronised_norms import synchronised_norms
from nasplug.values import Step, StepClock, StepInfo, Training, Update
from nasplug.values.seeds import derive_seed

FIRST = StepInfo(step=0, steps=1, steps_per_epoch=1)
"""Stands for any step where it is asked on which split the weights learn, which must not depend on the step."""
MakeObjective = Callable[[Update, Batches, StepInfo], Objective]


class Stream(Protocol):
    """The batches of one split: a pure function of the step, so that resuming needs no state."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the split."""

    @property
    def batch_size(self) -> int:
        """Images in each batch."""

    def batch(self, step: int) -> Batch:
        """The batch of a step."""


@attrs.define(eq=False)
class Trainer:
    """One training: what is trained, by which parts, on which batches, and how far it has come.

    `stage` and `step` say where it stands; a checkpoint holds these, and the state of network, stages, torch optimizers
    and parts. Nothing here touches a disk: runners (`nasplug.engine.runner`) make steps, and callers wrap them.

    Where the schedule asks for several supernets, `net`, `stages` and `measure` are those of the present one. Stages
    are numbered through all supernets, each of which has as many.
    """

    name: str
    """The phase of the run, such as "search"."""
    net: Network
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    stages: Sequence[Stage]
    """Those of the present supernet."""
    training: Training
    streams: Mapping[str, Stream]
    """By split."""
    device: torch.device
    bf16: bool = False
    """Whether forward passes run under autocast to bfloat16."""
    space: SearchSpace | None = None
    """The space of the supernet; None for a stand-alone network."""
    measure: Measure | None = None
    """Computes figures for the event of a step, and leaves the training as it was.

    Its argument is the step just made; a step that stops its stage counts as the stage's last.
    """
    candidates: Tensor | None = None
    """The only candidates that count in every step, bool (choices, candidates) on the CPU, where a trained supernet is
    trained further; None: the training begins with new alpha, and all candidates that are kept count."""
    resource_term: ResourceTerm | None = None
    """What the loss gains for the expected cost of the architecture where alpha learns, on `device`; None: nothing."""
    succession: Succession | None = None
    """How the supernets after the first are made; None: there is one network only."""
    seed: int = 0
    """The seed of what is drawn in the steps themselves, such as dropout after skip connections."""
    ranks: Ranks = ALONE
    """The processes that share this training; the streams give this one's share of every batch."""
    stage: int = 0
    """The present stage, counted through all supernets."""
    step: int = 0
    """Steps made in this stage."""
    choices: Choices = attrs.field(init=False)
    torch_optimizers: TorchOptimizers = attrs.field(init=False)
    present: Columns = attrs.field(init=False)
    """The candidates whose modules exist, as columns per choice."""
    _trained_rows: Tensor | None = attrs.field(init=False)
    """The rows of alpha that this stage updates, bool (choices, 1); None: all."""
    _draws: RankDraws | None = attrs.field(init=False)
    """Which random numbers of a step are common to all ranks; None: there is one rank."""

    def __attrs_post_init__(self) -> None:
        self._draws = RankDraws(self.ranks, self.device) if self.ranks.several else None
        self._take_choices()
        self.build_torch_optimizers()

    # One step.

    def train_step(self, now: StepInfo, make_objective: MakeObjective | None = None) -> DeviceStep:
        """Makes one step of the present stage; returns its figures, which may still be on the device.

        The loss among them is that of the last update. `make_objective` replaces `self.make_objective` where a runner
        computes losses and gradients in its own way.
        """
        stage, make_objective = self.present_stage, make_objective or self.make_objective
        if self._draws is not None:
            self._draws.begin_step()
        self.set_rates(now)
        batches = self.batches(now)
        with self._sampled_candidates(now), self._other_rows_fixed():
            for update in self.optimizer.updates(now):
                loss = self._compute_gradients(update, batches, partial(_objective_on, make_objective, update, now))
                loss = self.after_backward(update, loss)
                self.torch_optimizers.clip_gradients(update)
                self.torch_optimizers.step(update)
        self.ranks.average_running_statistics(self.net)
        stage.after_step(self.net, now)
        verdict = self.schedule.after_step(self.choices, now)
        return DeviceStep.of(now, loss, verdict, self.choices)

    def _compute_gradients(
        self, update: Update, batches: Batches, objective_on: Callable[[Batches], Objective]
    ) -> Tensor:
        """Leaves the gradients of an update in `grad` of what it changes; returns its loss, detached."""
        parts = self.training.accumulate
        # Where there are fewer images than a batch should have, it is one batch of all of them, which is small enough.
        with lost_rank():
            if parts == 1 or batches(update.split).whole_size < self.training.batch_size:
                return self.optimizer.compute_gradients(update, objective_on(batches), self.torch_optimizers)
            return accumulate_gradients(self.optimizer, update, batches, parts, objective_on, self.torch_optimizers)

    def after_backward(self, update: Update, loss: Tensor) -> Tensor:
        """Makes the gradients of an update those of the whole batch, the means over ranks; returns its loss, likewise.

        The one place where the ranks meet in a step of first order. It comes after the backward pass, of all parts of
        an accumulated batch, and before gradients are clipped.
        """
        if not self.ranks.several:
            return loss
        found = [parameter.grad for parameter in self.torch_optimizers.parameters(update)]
        loss = loss.clone()
        self.ranks.average([loss, *(gradient for gradient in found if gradient is not None)])
        return loss

    def set_rates(self, now: StepInfo) -> None:
        """Sets the learning rates of the weights and the network's drop path and dropout for this step."""
        training = self.training.with_epochs(self.present_stage.length * self.training.epochs)
        set_learning_rates(self.torch_optimizers.weights, training, now)
        self.net.drop_path, self.net.dropout = training.drop_path_at(now), training.dropout
        if isinstance(self.net, Supernet):
            self.net.skip_dropout = self._skip_dropout(now)

    def batches(self, now: StepInfo) -> Batches:
        """The batches of this step by split, each made when it is first asked for."""
        return cache(lambda split: self.streams[split].batch(now.steps_before + now.step))

    def make_objective(self, update: Update, batches: Batches, now: StepInfo) -> Objective:
        """What an update minimises."""
        return Objective(update.split, partial(self.compute_loss, update, batches, now), average=self.ranks.average)

    def compute_loss(self, update: Update, batches: Batches, now: StepInfo, split: str) -> Tensor:
        """The loss of an update on the batch of a split: the stage's, penalised by the schedule where alpha learns.

        The resource term comes after the schedule's penalty. Some schedules multiply the loss, by a factor that changes
        in the course of a search, and the weight of the term should mean the same with all of them, at any time.
        Second-order steps also ask for the loss on a split other than the update's own. That is what the update of
        the weights minimises on it: the stage's loss without the penalty.

        With several ranks it is scaled by the share of the batch that this one has (`Ranks.loss_factor`).
        """
        if split != update.split:
            update = Update(split, moves_weights=True, moves_alpha=False)
        batch = batches(split)
        with self._forward_pass():
            loss: Tensor = self.present_stage(self.net, batch, update, now)
        if update.moves_alpha:
            loss = self.schedule.penalise(loss, self.choices, now)
            loss = loss if self.resource_term is None else loss + self.resource_term(self.choices)
        factor = self.ranks.loss_factor(len(batch.labels), batch.whole_size)
        return loss if factor == 1 else loss * factor

    @contextmanager
    def _forward_pass(self) -> Iterator[None]:
        """How networks compute in the block: precision, batch norms and random numbers."""
        with (
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
            synchronised_norms() if self.ranks.several and self.ranks.sync_norms else nullcontext(),
            nullcontext() if self._draws is None else self._draws.for_images(),
        ):
            yield

    def finish_steps(self, steps: Sequence[HostStep], prune: bool) -> list[Step]:
        """Counts steps whose figures have been read and makes their events; a stage that is to stop counts as complete.

        With `prune`, the modules of candidates that are deleted by now are removed.
        """
        snapshots = [decode_snapshot(step, self.choices, self.space) for step in steps]
        last = steps[-1]
        if last.now.ends_epoch:
            self.ranks.check_architecture(self.choices, last.now, self.name)
        self.step = last.now.steps if last.stop else last.now.step + 1
        if prune:
            self.prune()
        measured: Mapping[str, float] = {}
        if (
            self.measure is not None
            and self.ranks.leads
            and all(math.isfinite(step.loss) for step in steps)
            and self.alpha_is_finite
        ):
            measured = self.measure(self.clock.at(self.step - 1))
        stage = self.stage if self.plan.count > 1 else None
        return [
            step.event(snapshot, measured if step is last else {}, counts_deleted=len(self.choices) > 0, stage=stage)
            for step, snapshot in zip(steps, snapshots, strict=True)
        ]

    # Progress.

    @property
    def plan(self) -> StagePlan:
        """How long all stages are. An epoch is one pass over the split on which the weights are updated."""
        epochs = tuple(stage.length * self.training.epochs for stage in self.stages)
        supernets = 1 if self.succession is None else self.succession.count
        steps_per_epoch = self.streams[self.weights_split].steps_per_epoch
        return StagePlan(epochs, supernets, steps_per_epoch, further=self.candidates is not None)

    @property
    def clock(self) -> StepClock:
        """The steps of the present stage."""
        return self.plan.clock(self.stage)

    @property
    def present_stage(self) -> Stage:
        """The stage that is trained now."""
        return self.stages[self.stage % len(self.stages)]

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return self.plan.whole.steps

    @property
    def steps_done(self) -> int:
        """Steps made in all stages; a stage that the schedule stopped early counts as complete."""
        return self.plan.steps_before(self.stage) + self.step

    @property
    def over(self) -> bool:
        """Whether no stage is left to train."""
        return self.steps_done == self.steps

    @property
    def images_per_step(self) -> int:
        """Images that the latest step has read (before the first one: it will read): a batch of each split it uses."""
        splits = {update.split for update in self.optimizer.updates(self.clock.at(max(self.step - 1, 0)))}
        return sum(self.streams[split].batch_size for split in splits)

    def begin(self, generator: torch.Generator) -> None:
        """Sets alpha and fits the schedule to the length of the training; not called when one is resumed.

        A supernet that is trained further keeps its alpha.
        """
        if self.candidates is None:
            self.optimizer.initialise(self.choices, generator)
        self.schedule.begin(self.choices, self.plan.whole)

    def stages_left(self) -> Iterator[Stage]:
        """Each stage that is not finished, in order; from the second one on, with newly built torch optimizers."""
        first = self.stage
        for number in range(first, self.plan.count):
            if number > first:
                self.enter_stage(number)
            yield self.present_stage

    def enter_stage(self, number: int) -> None:
        """Goes to the beginning of a stage, with new torch optimizers, and with its supernet if that is another one.

        A new supernet begins with initial weights and alpha, and with the candidates that are kept now.
        """
        plan, before = self.plan, self.stage
        self.stage, self.step = number, 0
        if self.succession is not None and plan.supernet(number) != plan.supernet(before):
            self._replace_supernet(self.succession, plan.supernet(number))
        self.build_torch_optimizers()

    def _replace_supernet(self, succession: Succession, number: int) -> None:
        kept, lengths = self.choices.kept, [stage.length for stage in self.stages]
        new = succession.make(number)
        if [stage.length for stage in new.stages] != lengths:
            raise RunFailure(
                f"The teacher has other stages for supernet {number + 1} of the search than for the first, so "
                f"the length of the search is not known; tell its author."
            )
        self.net, self.stages, self.measure = new.net, new.stages, new.measure
        new.net.choices.kept.copy_(kept)
        new.net.choices.refresh()
        new.net.prune()
        self._take_choices()
        self.optimizer.initialise(self.choices, succession.alpha_generator(number))

    def _take_choices(self) -> None:
        """Takes over the choices of the present network."""
        self.choices = self.net.choices if isinstance(self.net, Supernet) else Choices(())
        relax = self.optimizer.relax
        self.choices.relaxation = relax if self._draws is None else self._draws.in_common(relax)
        self.present = self.choices.computed_columns

    @property
    def alpha_is_finite(self) -> bool:
        """Whether no architecture parameter is NaN or infinite; the host waits for the device."""
        return bool(self.choices.alpha.isfinite().all())

    # Parameters and torch optimizers.

    def build_torch_optimizers(self) -> None:
        """Makes new torch optimizers for the weights (with the stage's own parameters) and alpha of this stage."""
        stage = self.present_stage
        self._trained_rows = None if stage.blocks is None else self.choices.rows_of(stage.blocks).unsqueeze(1)
        factors = [
            ({id(parameter) for parameter in (*self._block(block), *stage.learning_with(block))}, factor)
            for block, factor in sorted(stage.rates.items())
        ]
        self.torch_optimizers = TorchOptimizers(
            weights=make_grouped_optimizer(self.training, list(self.weights().values()), factors),
            alpha=self.optimizer.make_alpha_optimizer(self.choices.alpha),
            clip_weights=self.training.clip,
            clip_alpha=self.optimizer.clip_alpha(),
            buffers=tuple(self.net.buffers()),
            stage_parameters=[parameter for parameter in stage.parameters() if parameter.requires_grad],
        )
        self.net.train()
        stage.train()

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters that are updated with the weights, by name: of the stage's blocks and of the stage itself."""
        stage = self.present_stage
        inside = None
        if stage.blocks is not None:
            inside = {id(parameter) for block in stage.blocks for parameter in self._block(block)}
        named = {
            f"net.{name}": parameter
            for name, parameter in self.net.named_parameters()
            if parameter is not self.choices.alpha and (inside is None or id(parameter) in inside)
        }
        named |= {f"stage.{name}": parameter for name, parameter in stage.named_parameters()}
        return {name: parameter for name, parameter in named.items() if parameter.requires_grad}

    def prune(self) -> None:
        """Removes the modules of deleted candidates, if there are any. Raises RunFailure if too few are left."""
        self.choices.refresh()
        if isinstance(self.net, Supernet) and self.choices.computed_columns != self.present:
            remove_deleted_candidates(self.net, self.schedule, self.torch_optimizers.weights, self.weights)
            self.present = self.choices.computed_columns

    def _skip_dropout(self, now: StepInfo) -> SkipDropout | None:
        rate = self.schedule.skip_dropout(now)
        if rate == 0:
            return None
        if self.space is None or not self.space.has_skip_dropout:
            raise RunFailure(
                f"The schedule {type(self.schedule).__name__} asks for dropout after skip connections, which supernets "
                f"of this space do not have; it must refuse such a space in `later_spaces`."
            )
        rank = ("rank", self.ranks.share.rank) if self.ranks.several else ()
        return SkipDropout(rate, derive_seed(self.seed, "skip dropout", now.stage, now.step, *rank))

    @contextmanager
    def _sampled_candidates(self, now: StepInfo) -> Iterator[None]:
        """Lets only the candidates count that the optimizer samples for this step, if it samples any."""
        with nullcontext() if self.candidates is None else self.choices.only(self.candidates):
            mask = self.optimizer.sample(self.space, self.choices, now) if self.space is not None else None
            mask = _intersect(mask, self.candidates)
        with nullcontext() if mask is None else self.choices.only(mask):
            yield

    @contextmanager
    def _other_rows_fixed(self) -> Iterator[None]:
        """Puts back, after a step, the rows of alpha that belong to other stages' blocks.

        One torch optimizer steps the whole table: its weight decay and momentum would move them, too.
        """
        before = None if self._trained_rows is None else self.choices.alpha.detach().clone()
        yield
        if before is not None and self._trained_rows is not None:
            with torch.no_grad():
                self.choices.alpha.copy_(torch.where(self._trained_rows, self.choices.alpha, before))

    def _block(self, number: int) -> Iterable[nn.Parameter]:
        if not isinstance(self.net, Supernet):
            raise TypeError("only a supernet has blocks")
        return self.net.blocks()[number].parameters()

    @property
    def weights_split(self) -> str:
        """The split on which the weights are updated. Raises RunFailure if the optimizer does not tell."""
        for update in self.optimizer.updates(FIRST):
            if update.moves_weights:
                return update.split
        raise RunFailure(
            f"The optimizer {type(self.optimizer).__name__} moves no weights in step 0, which tells on which split "
            f"they learn; tell its author."
        )


def _intersect(mask: Tensor | None, other: Tensor | None) -> Tensor | None:
    """What both masks let count; None lets everything count."""
    return mask if other is None else other if mask is None else mask & other


def _objective_on(make_objective: MakeObjective, update: Update, now: StepInfo, batches: Batches) -> Objective:
    return make_objective(update, batches, now)
