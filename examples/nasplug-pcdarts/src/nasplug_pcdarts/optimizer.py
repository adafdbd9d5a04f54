"""The part `delayed-bilevel` of the slot `--optimizer`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import attrs

from nasplug.optimizers import Bilevel
from nasplug.parts import option
from nasplug.values import StepInfo, Update


@attrs.define
class DelayedBilevel(Bilevel):
    """Bilevel optimisation whose alpha learns only once the weights have (Xu et al., 2020: from epoch 15 of 50 on).

    Before that, candidates without weights would win, since they are as good from the first step on. The images of
    alpha are not used until then. At least the last epoch of each stage updates alpha.
    """

    alpha_delay: float = option(0.3, "share of the epochs before alpha learns", at_least=0, below=1)

    def waits(self, now: StepInfo) -> bool:
        """Whether only the weights learn in this step."""
        return now.epoch < min(round(self.alpha_delay * now.epochs), now.epochs - 1)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Those of `bilevel`, without that of alpha while it waits."""
        waits = self.waits(now)
        return tuple(update for update in Bilevel.updates(self, now) if not (waits and update.moves_alpha))

    def graph_key(self, now: StepInfo) -> Hashable:
        """Whether alpha waits: a step then has fewer updates."""
        return self.waits(now)
