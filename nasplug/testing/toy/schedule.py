"""A schedule that deletes."""

from __future__ import annotations

import attrs
import torch

from nasplug.parts import Choices, PruningSchedule
from nasplug.values import Figure, StepInfo, Verdict


@attrs.define
class Weakest(PruningSchedule):
    """Deletes the weakest candidate of every choice at the end of each epoch, as long as enough are left."""

    ranks_candidates = True
    takes_snapshots = True
    figures = (Figure("alive", "candidates kept", progress="{:.0f} candidates kept"),)

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Compares weights; a tie deletes the first."""
        if not now.ends_epoch:
            return Verdict()
        weights = choices.weights().detach().masked_fill(~choices.kept, torch.inf)
        doomed = torch.zeros_like(choices.kept)
        for row, choice in enumerate(choices):
            if int(choices.kept[row].sum()) > choice.at_least:
                doomed[row, int(weights[row].argmin())] = True
        return Verdict(deleted=choices.delete(doomed), snapshot="epoch", measures={"alive": choices.active_count})
