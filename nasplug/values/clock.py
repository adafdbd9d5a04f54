"""Which step of how many a training has come to."""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.frozen
class StepInfo:
    """One step of a training. Schedules of learning rates and probabilities are pure functions of it, without state."""

    step: int
    """Steps done before this one."""
    steps: int
    """Steps of the whole stage; most trainings have one stage."""
    steps_per_epoch: int
    stage: int = 0
    """The number of the stage, from 0; steps and epochs count within it."""
    epochs_before: int = 0
    """Epochs of all stages before this one."""
    supernet: int = 0
    """The number of the supernet that is trained, from 0; a schedule may ask for several, one after the other."""
    last_of_supernet: bool = True
    """Whether no other stage of the same supernet follows this one."""
    further: bool = False
    """Whether a trained supernet is trained on, for a selector: its alpha is not new."""

    @property
    def steps_before(self) -> int:
        """Steps of all stages before this one."""
        return self.epochs_before * self.steps_per_epoch

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
        """The share of the stage that is complete, from 0 up to (not including) 1."""
        return self.step / self.steps

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last step of its epoch."""
        return (self.step + 1) % self.steps_per_epoch == 0

    @property
    def ends_supernet(self) -> bool:
        """Whether this is the last step of its supernet, unless a stage is stopped earlier."""
        return self.last_of_supernet and self.step + 1 == self.steps


@attrs.frozen
class StepClock:
    """The length of one stage of a training; gives the `StepInfo` of each of its steps."""

    steps_per_epoch: int
    epochs: int
    stage: int = 0
    epochs_before: int = 0
    """Epochs of all stages before this one."""
    supernet: int = 0
    """The number of the supernet that is trained, from 0."""
    last_of_supernet: bool = True
    """Whether no other stage of the same supernet follows this one."""
    further: bool = False
    """Whether a trained supernet is trained on, for a selector: its alpha is not new."""

    @property
    def steps(self) -> int:
        """Steps of the whole stage."""
        return self.steps_per_epoch * self.epochs

    def at(self, step: int) -> StepInfo:
        """The `StepInfo` of step number `step`, counted from 0."""
        return StepInfo(
            step,
            self.steps,
            self.steps_per_epoch,
            stage=self.stage,
            epochs_before=self.epochs_before,
            supernet=self.supernet,
            last_of_supernet=self.last_of_supernet,
            further=self.further,
        )

    def since(self, step: int) -> Iterator[StepInfo]:
        """The `StepInfo` of every step from `step` to the end of the stage."""
        return (self.at(number) for number in range(step, self.steps))
