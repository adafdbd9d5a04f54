from __future__ import annotations

import torch

from nasplug.builtin.schedules import Keep
from nasplug.parts import Choice, Choices
from nasplug.values import Clock, Verdict


def test_keep_changes_nothing() -> None:
    choices, now = Choices([Choice("c", ("a", "b"))]), Clock(2, 3).at(5)
    loss = torch.tensor(1.5)
    assert Keep().penalise(loss, choices, now) is loss
    assert Keep().after_step(choices, now) == Verdict()
    assert choices.alive_total == 2
