"""How long a training is: its stages, through all supernets."""

from __future__ import annotations

import attrs

from nasplug.values import StepClock


@attrs.frozen
class StagePlan:
    """The lengths of all stages. They are numbered through all supernets, each of which has as many."""

    epochs: tuple[int, ...]
    """Those of the stages of one supernet."""
    supernets: int
    """How many are trained, one after the other."""
    steps_per_epoch: int
    further: bool = False
    """Whether a trained supernet is trained on."""

    @property
    def count(self) -> int:
        """The stages of all supernets."""
        return self.supernets * len(self.epochs)

    @property
    def whole(self) -> StepClock:
        """All stages together."""
        return StepClock(self.steps_per_epoch, self._epochs_before(self.count), further=self.further)

    def steps_before(self, stage: int) -> int:
        """Steps of all stages before this one."""
        return self._epochs_before(stage) * self.steps_per_epoch

    def supernet(self, stage: int) -> int:
        """The number of the supernet, from 0, to which a stage belongs."""
        return stage // len(self.epochs)

    def clock(self, stage: int) -> StepClock:
        """The steps of a stage."""
        return StepClock(
            self.steps_per_epoch,
            self.epochs[stage % len(self.epochs)],
            stage=stage,
            epochs_before=self._epochs_before(stage),
            supernet=self.supernet(stage),
            last_of_supernet=(stage + 1) % len(self.epochs) == 0,
            further=self.further,
        )

    def _epochs_before(self, stage: int) -> int:
        finished, number = divmod(stage, len(self.epochs))
        return finished * sum(self.epochs) + sum(self.epochs[:number])
