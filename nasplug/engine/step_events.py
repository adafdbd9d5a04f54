"""From the figures of a step on the device to its event: one transfer for any number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices, SearchSpace
from nasplug.values import Genotype, Step, StepInfo, Verdict


@attrs.frozen(eq=False)
class DeviceStep:
    """One step that was made, with figures that may be tensors on the device."""

    now: StepInfo
    loss: Tensor
    verdict: Verdict
    weights: Tensor | None
    """The table of candidate weights after the step, if there may be a snapshot."""
    kept: Tensor | None
    """The candidates left after the step, if there may be a snapshot."""

    @classmethod
    def of(cls, now: StepInfo, loss: Tensor, verdict: Verdict, choices: Choices) -> DeviceStep:
        """The step just made, with copies of all tensors that the next step may write to."""
        verdict = Verdict(
            deleted=_copy(verdict.deleted),
            snapshot={reason: _copy(holds) for reason, holds in verdict.snapshot.items()},
            stop=_copy(verdict.stop),
            measures={name: _copy(value) for name, value in verdict.measures.items()},
        )
        may_be_snapshot = any(holds is not False for holds in verdict.snapshot.values())
        if not may_be_snapshot or not len(choices):
            return cls(now, loss, verdict, None, None)
        return cls(now, loss, verdict, choices.weights().detach().clone(), choices.kept.clone())


@attrs.frozen(eq=False)
class HostStep:
    """The same step with its figures as Python numbers."""

    device_step: DeviceStep
    loss: float
    deleted: int
    """Candidates deleted in this step."""
    stop: bool
    """Whether the stage ends with this step."""
    reason: str | None
    """Why there is a snapshot, if there is one."""
    measures: Mapping[str, float]

    @property
    def now(self) -> StepInfo:
        """Which step it is."""
        return self.device_step.now

    def event(
        self, snapshot: Genotype | None, measured: Mapping[str, float], *, counts_deleted: bool, stage: int | None
    ) -> Step:
        """The event of this step; `measured` are figures beside the schedule's own."""
        now, measures = self.now, {**self.measures, **measured}
        if counts_deleted:
            measures["deleted"] = self.deleted
        return Step(
            step=now.steps_before + now.step + 1,
            epoch=now.epochs_before + now.epoch,
            loss=self.loss,
            measures=measures,
            snapshot=snapshot,
            reason=self.reason if snapshot is not None else None,
            stop=self.stop,
            stage=stage,
        )


def read_steps(steps: Sequence[DeviceStep]) -> list[HostStep]:
    """Reads the figures of steps in one transfer from the device; the host waits for it."""
    values: list[float | Tensor] = []
    for step in steps:
        verdict = step.verdict
        values += [step.loss, verdict.deleted, verdict.stop, *verdict.snapshot.values(), *verdict.measures.values()]
    numbers = iter(_read(values))
    read = []
    for step in steps:
        verdict = step.verdict
        loss, deleted, stop = next(numbers), next(numbers), next(numbers)
        reasons = [reason for reason in verdict.snapshot if next(numbers)]
        measures = {name: next(numbers) for name in verdict.measures}
        reason = reasons[0] if reasons else None
        read.append(HostStep(step, float(loss), int(deleted), bool(stop), reason, measures))
    return read


def decode_snapshot(step: HostStep, choices: Choices, space: SearchSpace | None) -> Genotype | None:
    """The architecture as it stood after a step, if the schedule asked for a snapshot of it."""
    weights, kept = step.device_step.weights, step.device_step.kept
    if step.reason is None or space is None or weights is None or kept is None:
        return None
    return space.decode(choices.with_kept(kept), weights)


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _read(values: Sequence[float | Tensor]) -> list[float]:
    """The values as numbers; a tensor of integers or booleans gives integers."""
    numbers: list[float] = [0 if isinstance(value, Tensor) else value for value in values]
    places: dict[torch.device, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            places.setdefault(value.device, []).append(place)
    for on_device in places.values():
        tensors = [value for place in on_device if isinstance(value := values[place], Tensor)]
        read = torch.stack([tensor.detach().reshape(()).double() for tensor in tensors]).tolist()
        for place, tensor, number in zip(on_device, tensors, read, strict=True):
            numbers[place] = number if tensor.is_floating_point() else int(number)
    return numbers
