from __future__ import annotations

import torch

from nasplug.engine.plain.keep import Keep
from nasplug.parts import Choice, Choices
from nasplug.values import StepClock, Verdict


def test_keep_changes_nothing() -> None:
    choices, now = Choices([Choice("c", ("a", "b"))]), StepClock(2, 3).at(5)
    loss = torch.tensor(1.5)
    assert Keep().penalise(loss, choices, now) is loss
    assert Keep().after_step(choices, now) == Verdict()
    assert choices.active_count == 2
