"""What alpha says at the end of an epoch: how decided it is, and how many operations without parameters it picks."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from nasplug.engine.parameterless import ParameterlessOperations
from nasplug.engine.random_state import RandomState
from nasplug.parts import SearchSpace, Supernet
from nasplug.values import StepInfo

ENTROPY = "alpha_entropy"
SHARE = "parameterless_share"
EXPECTED = "parameterless_expected"


@attrs.frozen(eq=False)
class AlphaFigures:
    """Measures a supernet at the end of every epoch, and leaves it and torch's random state as they were.

    The figures are `alpha_entropy` (see `mean_entropy`); `parameterless_share`, the share of operations without
    parameters in the genotype that the supernet would be decoded to now (see `ParameterlessOperations`); and
    `parameterless_expected`, what random picks would have. A figure that means nothing in the space is left out.
    """

    net: Supernet
    space: SearchSpace
    operations: ParameterlessOperations

    @torch.no_grad()
    def __call__(self, now: StepInfo) -> dict[str, float]:
        """The figures after the step `now`; none if it does not end an epoch."""
        if not now.ends_epoch:
            return {}
        choices = self.net.choices
        random_state = RandomState.capture(choices.alpha.device)
        try:
            weights = choices.weights()
            entropy = mean_entropy(weights, choices.valid_mask)
            found = self.operations.share(self.space.decode(choices, weights))
        finally:
            random_state.restore()
        figures = {} if entropy is None else {ENTROPY: entropy}
        return figures if found is None else figures | {SHARE: found.share, EXPECTED: found.expected}


def mean_entropy(weights: Tensor, valid: Tensor) -> float | None:
    """How undecided candidate weights are: 0 where every choice is one-hot, 1 where all are uniform.

    `weights` is (choices, candidates), not negative, and each choice is scaled to add up to 1; `valid`, bool of the
    same shape, says where there are candidates. The entropy of each choice is divided by that of a uniform one over
    all its candidates, those that are deleted included, so that a deletion counts as a decision; so does a choice
    without any weight. The result is the mean over the choices of two or more candidates; None if there are none.
    """
    counts = valid.cpu().sum(1)
    rows = counts > 1
    if not rows.any():
        return None
    table = weights.detach().cpu().double()[rows]
    total = table.sum(1, keepdim=True)
    entropies = torch.special.entr(table / torch.where(total > 0, total, 1.0)).sum(1)
    return float((entropies / counts[rows].double().log()).mean())
