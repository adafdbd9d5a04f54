"""Where a phase stands in its training."""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.frozen
class StepInfo:
    """One moment of a phase. Schedules of rates and weights are functions of it and keep no state of their own."""

    step: int
    """Steps done before this one."""
    steps: int
    """Steps of the whole stage; most phases have one."""
    steps_per_epoch: int
    stage: int = 0
    """Which stage of the phase this is; steps and epochs count within it."""

    @property
    def epoch(self) -> int:
        """Epochs completed before this step."""
        return self.step // self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Epochs of the whole stage."""
        return self.steps // self.steps_per_epoch

    @property
    def fraction(self) -> float:
        """How much of the stage is over, from 0 up to (not including) 1."""
        return self.step / self.steps

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last step of its epoch."""
        return (self.step + 1) % self.steps_per_epoch == 0


@attrs.frozen
class StepClock:
    """The moments of one stage of a phase, in order, from where a checkpoint left off."""

    steps_per_epoch: int
    epochs: int
    stage: int = 0

    @property
    def steps(self) -> int:
        """Steps of the whole stage."""
        return self.steps_per_epoch * self.epochs

    def at(self, step: int) -> StepInfo:
        """The moment before step number `step` is taken."""
        return StepInfo(step=step, steps=self.steps, steps_per_epoch=self.steps_per_epoch, stage=self.stage)

    def since(self, step: int) -> Iterator[StepInfo]:
        """Every moment from `step` to the end."""
        return (self.at(each) for each in range(step, self.steps))
