"""One-level optimisation with normalised-ReLU weights (Rao et al., SNPS and DNAD, released code)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts import ArchitectureOptimizer, Choices, option
from nasplug.values import StepInfo, Update


@attrs.define
class OneLevel(ArchitectureOptimizer):
    """Weights and alpha are updated together, on the same batch, with the gradients of one backward pass.

    The weight of candidate k is ReLU(alpha_k) / sum_j ReLU(alpha_j), the sum over all active candidates of its choice.
    A share below `baseline` is replaced by 0: the candidate is then not computed, but stays in the sum until it is
    deleted. So a search that regularises candidates towards 0 sees the effect of a deletion before it takes place.
    """

    static_graph = True

    baseline: float = option(0.01, "share below which the weight of a candidate is 0", at_least=0, below=1)
    alpha_init: float = option(2.0, "alpha of every candidate at the start", above=0)
    alpha_lr: float = option(0.2, "learning rate of alpha (sgd)", above=0)
    alpha_momentum: float = option(0.0, "momentum of alpha", at_least=0, below=1)
    alpha_clip: float = option(5.0, "largest norm of alpha's gradient; 0 switches clipping off", at_least=0)

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Gives all candidates of a choice the same weight."""
        with torch.no_grad():
            choices.alpha.fill_(self.alpha_init)

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """Normalised ReLU over the active candidates, 0 below the baseline.

        The largest share of a choice is kept, whatever the baseline. If too large a step has left every ReLU of a
        choice at 0, its strongest candidate gets the whole weight, as in a choice that has converged.
        """
        rectified = alpha.relu() * active
        total = rectified.sum(-1, keepdim=True)
        # Not `total > 0`: an alpha of NaN must reach the loss, which ends the run.
        positive = total != 0
        # Where the total is 0 the divisor is 1, so that no NaN reaches the gradient.
        share = rectified / torch.where(positive, total, 1.0)
        largest = share.amax(-1, keepdim=True)
        weights = share * ((share >= self.baseline) | (share == largest))
        ranked = alpha.detach().masked_fill(~active, -torch.inf)
        columns = torch.arange(alpha.shape[-1], device=alpha.device)
        strongest = (ranked.argmax(-1, keepdim=True) == columns) & active
        return torch.where(positive, weights, strongest.to(alpha.dtype))

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """One update of weights and alpha together."""
        return (Update("train", moves_weights=True, moves_alpha=True),)

    def make_alpha_optimizer(self, alpha: nn.Parameter) -> torch.optim.Optimizer:
        """SGD, without weight decay."""
        return torch.optim.SGD([alpha], lr=self.alpha_lr, momentum=self.alpha_momentum)

    def clip_alpha(self) -> float:
        """The option `alpha_clip`."""
        return self.alpha_clip
