"""What a step has come to: known to the device at once, and to the host when it asks for several steps together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices
from nasplug.values import StepInfo, Verdict


@attrs.frozen(eq=False)
class DeviceStep:
    """One step, as far as the host knows it without asking the device."""

    now: StepInfo
    loss: Tensor
    verdict: Verdict
    weights: Tensor | None
    """The table of weights after the step, if it may be a snapshot."""
    kept: Tensor | None
    """The candidates left after the step, if it may be a snapshot."""

    @classmethod
    def of(cls, now: StepInfo, loss: Tensor, verdict: Verdict, choices: Choices) -> DeviceStep:
        """Takes down a step that has just been made; a copy of what the next step may write to."""
        verdict = Verdict(
            deleted=_copied(verdict.deleted),
            snapshot={reason: _copied(holds) for reason, holds in verdict.snapshot.items()},
            stop=_copied(verdict.stop),
            measures={name: _copied(value) for name, value in verdict.measures.items()},
        )
        possible = any(holds is not False for holds in verdict.snapshot.values())
        if not possible or not len(choices):
            return cls(now, loss, verdict, None, None)
        return cls(now, loss, verdict, choices.weights().detach().clone(), choices.kept.clone())


@attrs.frozen(eq=False)
class HostStep:
    """The same as plain numbers."""

    record: DeviceStep
    loss: float
    deleted: int
    stop: bool
    reason: str | None
    """Why there is a snapshot, if there is one."""
    measures: Mapping[str, float]


def read_steps(records: Sequence[DeviceStep]) -> list[HostStep]:
    """The outcomes of steps, in one transfer from the device."""
    values: list[float | Tensor] = []
    for record in records:
        verdict = record.verdict
        values += [record.loss, verdict.deleted, verdict.stop, *verdict.snapshot.values(), *verdict.measures.values()]
    numbers = iter(_read(values))
    outcomes = []
    for record in records:
        verdict = record.verdict
        loss, deleted, stop = next(numbers), next(numbers), next(numbers)
        holding = [reason for reason in verdict.snapshot if next(numbers)]
        measures = {name: next(numbers) for name in verdict.measures}
        reason = holding[0] if holding else None
        outcomes.append(HostStep(record, float(loss), int(deleted), bool(stop), reason, measures))
    return outcomes


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _read(values: Sequence[float | Tensor]) -> list[float]:
    """The values as numbers; a tensor of whole numbers or truths gives the like."""
    found: list[float] = [0 if isinstance(each, Tensor) else each for each in values]
    places: dict[torch.device, list[int]] = {}
    for place, each in enumerate(values):
        if isinstance(each, Tensor):
            places.setdefault(each.device, []).append(place)
    for there in places.values():
        tensors = [each for place in there if isinstance(each := values[place], Tensor)]
        read = torch.stack([each.detach().reshape(()).double() for each in tensors]).tolist()
        for place, each, number in zip(there, tensors, read, strict=True):
            found[place] = number if each.is_floating_point() else int(number)
    return found
