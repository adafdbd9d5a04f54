"""Self-distillation: past states of the supernet vote as teachers (SD-DARTS, Zhu et al., arXiv 2302.05629).

The paper's constants could not be read. Defaults are those of the most similar methods, SAF and MESA (Du et al.,
Sharpness-Aware Training for Free, NeurIPS 2022); every constant is an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Batch, DistillationTeacher, Network, Stage, Supernet, option
from nasplug.values import ImageShape, StepInfo, Update
from nasplug_sd_darts.bank import Bank
from nasplug_sd_darts.votes import DIRECTIONS, VOTES, divergence, vote

USUAL_EPOCHS = 50
"""Epochs of a DARTS search, the length for which the defaults of start and ramp are meant."""


@attrs.define
class Voting(DistillationTeacher):
    """Besides the labels, the supernet learns the votes of several of its own past states.

        L = CE(z, y) + weight T^2 KL(q || softmax(z / T)),      q = vote(z_1 ... z_K),

    where z are the logits of the supernet and z_s those of its past state s on the same images. Past states are not
    trained: they get no gradient. Their batch norms use the statistics of the batch.
    """

    weighs_classes = True
    tasks = frozenset({"classification"})

    teachers: int = option(3, "largest number of past states that vote (inferred)", at_least=1)
    vote: str = option("soft", "how their predictions are combined (soft is inferred)", choices=VOTES)
    interval: int = option(1, "epochs or steps between stored states (inferred)", at_least=1)
    interval_unit: str = option("epoch", "what interval counts (inferred)", choices=("epoch", "step"))
    average: float = option(
        0.0,
        "share of the oldest state that remains when a new one replaces it; 0: none (0.9995 with teachers=1 and "
        "interval_unit=step gives a single moving average as teacher, as in MESA)",
        at_least=0,
        below=1,
    )
    temperature: float = option(5.0, "T, by which logits are divided (inferred; SAF's)", above=0)
    weight: float = option(0.3, "weight of the divergence from the votes (inferred; SAF's)", at_least=0)
    start: float = option(5.0, "epochs before the votes are used (inferred; SAF's)", at_least=0)
    ramp: float = option(5.0, "epochs in which their weight then grows from 0 (inferred)", at_least=0)
    pace: str = option(
        "fit",
        f"paper: start and ramp as set; fit: multiplied by epochs / {USUAL_EPOCHS}",
        choices=("paper", "fit"),
    )
    learns: str = option(
        "weights",
        "which updates learn from votes: those of weights, of alpha, or all; a joint update always does (inferred)",
        choices=("weights", "alpha", "both"),
    )
    direction: str = option("teacher-student", "direction of the KL divergence (inferred)", choices=DIRECTIONS)
    snapshot_alpha: bool = option(True, "whether past states use their own alpha, or the current one (inferred)")

    def __attrs_post_init__(self) -> None:
        if self.vote == "hard" and self.direction == "student-teacher":
            raise InputError(
                "A hard vote gives all classes but one the probability 0, so that direction='student-teacher' would "
                "be infinite; set vote='soft', or direction='teacher-student'."
            )

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """One stage, with a bank of copies of the supernet."""
        return (VotingStage(net, self),)

    def taken(self, now: StepInfo) -> int:
        """The number of states stored before this step. It is a function of the step, so it needs no saved counter."""
        return now.step // (self.interval * (now.steps_per_epoch if self.interval_unit == "epoch" else 1))

    def share(self, now: StepInfo) -> float:
        """The weight of the votes in this step: 0 until `start`, then growing linearly over `ramp`."""
        stretch = now.epochs / USUAL_EPOCHS if self.pace == "fit" else 1.0
        begun = now.step + 1 - self.start * stretch * now.steps_per_epoch
        growing = self.ramp * stretch * now.steps_per_epoch
        return self.weight * max(0.0, min(1.0, begun / max(growing, 1.0)))

    def counts(self, update: Update) -> bool:
        """Whether this update learns from the votes."""
        return (update.moves_weights and self.learns != "alpha") or (update.moves_alpha and self.learns != "weights")


class VotingStage(Stage):
    """Cross entropy plus the weighted divergence from the votes of past states of the network, in float32."""

    def __init__(self, net: Supernet, voting: Voting) -> None:
        super().__init__()
        self.voting = voting
        self.bank = Bank(net, voting.teachers, voting.average)

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`."""
        options = self.voting
        logits = net(batch.images).float()
        loss = batch.loss(logits)
        voters = min(options.taken(now), options.teachers)
        weight = options.share(now) if options.counts(update) else 0.0
        if voters == 0 or weight == 0:
            return loss
        logits_of_past = self.bank.logits(cast("Supernet", net), batch.images, voters, options.snapshot_alpha)
        predicted = vote(logits_of_past, options.vote, options.temperature)
        distance = divergence(logits, predicted, options.temperature, options.direction)
        return loss + weight * options.temperature**2 * distance

    def after_step(self, net: Network, now: StepInfo) -> None:
        """Stores the state after this step at the end of an interval."""
        before, after = self.voting.taken(now), self.voting.taken(attrs.evolve(now, step=now.step + 1))
        if after > before:
            self.bank.renew(cast("Supernet", net), before)
