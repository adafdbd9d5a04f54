"""Progressive search (Chen, Xie, Wu & Tian, Progressive Differentiable Architecture Search, ICCV 2019).

Networks are retrained with 20 cells, and a supernet of 20 cells with all candidates is too large. So the depth of the
supernet grows in stages, and after each stage the candidates with the least alpha are given up (search space
approximation). Skip connections win the more easily the deeper a supernet is; dropout after them holds them back while
the other candidates learn (search space regularisation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import torch

from nasplug.errors import InputError
from nasplug.parts import Choices, PruningSchedule, SearchSpace, option
from nasplug.values import StepInfo, Verdict


@attrs.define
class Progressive(PruningSchedule):
    """Trains a supernet for each of several depths, and gives up the weakest candidates of every choice in between.

    The first supernet has as many cells as the space says. Each of the others begins with initial weights and alpha.
    `search.epochs` are those of each supernet, over which its learning rate falls from the start to the end. Depths,
    numbers of candidates and rates of dropout are the paper's for CIFAR-10; for CIFAR-100 it has the rates 0.1, 0.2 and
    0.3. The paper says that dropout decays, and the released code how.
    """

    ranks_candidates = True
    static_graph = True

    cells: tuple[int, ...] = option((11, 17), "cells of each supernet after the first", at_least=1)
    keep: tuple[int, ...] = option(
        (5, 3), "candidates of each choice with which the supernets after the first begin", at_least=1
    )
    dropout: tuple[float, ...] = option(
        (0.0, 0.4, 0.7), "initial rate of dropout after skip connections in each supernet", at_least=0, below=1
    )
    decay: float = option(0.2, "how fast dropout falls: by the factor exp(-decay) in an epoch", at_least=0)
    warm_up: int = option(
        10, "epochs at the start of each supernet after which dropout begins anew, as optimizer.warm_up", at_least=0
    )

    def __attrs_post_init__(self) -> None:
        after = len(self.cells)
        if len(self.keep) != after or len(self.dropout) != after + 1:
            raise InputError(
                f"schedule.cells = {list(self.cells)} makes {after + 1} supernets, which need {after} numbers of "
                f"candidates and {after + 1} rates of dropout, but schedule.keep = {list(self.keep)} and "
                f"schedule.dropout = {list(self.dropout)}."
            )

    def later_spaces(self, space: SearchSpace) -> Sequence[SearchSpace]:
        """The space with more cells.

        Raises InputError unless it consists of cells that share their choices, and can have dropout after skip
        connections where any is asked for.
        """
        try:
            later = tuple(space.scaled(cells=cells) for cells in self.cells)
        except InputError as error:
            raise InputError(
                f"The schedule 'progressive' adds cells to a supernet, which the space '{space.name}' does not allow "
                f"({str(error).rstrip('.')}); take --space darts."
            ) from error
        names = [choice.name for choice in space.choice_list()]
        if any([choice.name for choice in deeper.choice_list()] != names for deeper in later):
            raise InputError(
                f"The schedule 'progressive' adds cells to a supernet, so it needs a space whose cells share their "
                f"choices, but in '{space.name}' cells have choices of their own; take --space darts with --set "
                f"space.topology=per-type."
            )
        if max(self.dropout) > 0 and not space.has_skip_dropout:
            raise InputError(
                f"The schedule 'progressive' asks for dropout after skip connections, which supernets of the space "
                f"'{space.name}' do not have; set schedule.dropout={[0] * len(self.dropout)}, or take --space darts."
            )
        return later

    def skip_dropout(self, now: StepInfo) -> float:
        """The rate of this step's epoch (released code).

        While alpha rests, it falls linearly, by the initial rate over the epochs of the stage. It begins anew when
        alpha begins to learn, and falls exponentially from then on.
        """
        initial = self.dropout[now.supernet]
        if now.epoch < self.warm_up:
            return initial * (now.epochs - now.epoch - 1) / now.epochs
        return initial * math.exp(-self.decay * (now.epoch - self.warm_up))

    @torch.no_grad()
    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes all but the strongest candidates of every choice when a supernet ends that is not the last.

        `none` is ranked among the others, as in the released code. Of equal candidates the first stay.
        """
        if not now.ends_supernet or now.supernet == len(self.keep):
            return Verdict()
        active = choices.active_mask
        weights = choices.weights().masked_fill(~active, -torch.inf)
        rank = weights.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        return Verdict(deleted=choices.delete(active & (rank >= self.keep[now.supernet])))
