"""Runners make the steps of a trainer: one at a time here, ahead of the host in `nasplug.engine.ahead`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from nasplug.engine.step_events import DeviceStep, read_steps
from nasplug.engine.trainer import Trainer
from nasplug.values import Step, StepInfo


class Runner(Protocol):
    """Makes the steps of a trainer."""

    def run(self, trainer: Trainer) -> Iterator[Sequence[Step]]:
        """Trains from the trainer's present step to its end; yields the events of the steps made since the last yield.

        The caller does all writing to disk, progress and observers: at every yield, a checkpoint can be saved.
        """

    def make_step(self, trainer: Trainer, now: StepInfo) -> DeviceStep:
        """Makes one step; its figures stay on the device."""

    @property
    def status(self) -> str:
        """How steps are made, in words for a line of progress; empty where there is nothing to say."""


class EagerRunner:
    """Makes one step at a time, and reads its figures before the next."""

    status = ""

    def run(self, trainer: Trainer) -> Iterator[Sequence[Step]]:
        """Trains to the end; yields the event of each step on its own."""
        for _ in trainer.stages_left():
            while trainer.step < trainer.clock.steps:
                steps = read_steps([self.make_step(trainer, trainer.clock.at(trainer.step))])
                yield trainer.finish_steps(steps, prune=steps[0].deleted > 0)

    def make_step(self, trainer: Trainer, now: StepInfo) -> DeviceStep:
        """Makes one step."""
        return trainer.train_step(now)


def train(trainer: Trainer, runner: Runner | None = None) -> Iterator[Step]:
    """Trains to the end with a runner (None: `EagerRunner`); yields the event of every step."""
    for steps in (runner or EagerRunner()).run(trainer):
        yield from steps
