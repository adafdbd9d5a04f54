"""The architecture optimizer of GDAS (Dong & Yang, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, Choices, SearchSpace, option, softmax
from nasplug.values import StepInfo, Training, Update
from nasplug.values.seeds import derive_seed
from nasplug_gdas.gumbel import Draw

WEIGHTS, ALPHA = "train.weights", "train.alpha"


class Sampling(ArchitectureOptimizer):
    """Between `sample` and `relax`: the draw of the present step. No state, for every step draws anew."""

    draw: Draw | None = None


@attrs.define
class Gdas(Sampling):
    """Alternating descent on one architecture at a time, drawn anew in every step.

    Each step draws one candidate of every choice from softmax(alpha), computes these alone, and moves alpha on one
    share of the training images, then the weights on the other. The gradient of alpha is that of the Gumbel-softmax
    at the present temperature, which falls with every epoch: first all candidates of a choice learn from what one of
    them did, in the end hardly any but those that the draw was between.
    """

    temperature_start: float = option(10.0, "temperature of the Gumbel-softmax in the first epoch", above=0)
    temperature_end: float = option(0.1, "temperature in the last epoch, reached linearly", above=0)
    alpha_lr: float = option(3e-4, "learning rate of alpha (adam)", above=0)
    alpha_betas: tuple[float, ...] = option(
        (0.5, 0.999), "averaging constants of adam for alpha", at_least=0, below=1, length=2
    )
    alpha_weight_decay: float = option(1e-3, "weight decay of alpha", at_least=0)
    alpha_init: float = option(1e-3, "standard deviation of alpha at the start", at_least=0)
    alpha_share: float = option(0.5, "share of the training images that alpha sees", above=0, below=1)
    seed: int = attrs.field(init=False, default=0)

    def check(self, space: SearchSpace, training: Training) -> None:
        """One candidate is drawn of each choice, so a genotype must be able to do with one."""
        greedy = next((choice for choice in space.choice_list() if choice.at_least > 1), None)
        if greedy is not None:
            raise InputError(
                f"GDAS trains one candidate of each choice at a time, but genotypes of the space '{space.name}' hold "
                f"at least {greedy.at_least} of the choice '{greedy.name}'; take the optimizer bilevel or one-level."
            )

    def splits(self) -> Mapping[str, float]:
        """One share for the weights, one for alpha."""
        return {WEIGHTS: 1 - self.alpha_share, ALPHA: self.alpha_share}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Draws alpha from a narrow normal distribution (all candidates are nearly as likely), and the noise's seed."""
        drawn = torch.randn(choices.alpha.shape, generator=generator) * self.alpha_init
        with torch.no_grad():
            choices.alpha.copy_(drawn)
        self.seed = int(torch.randint(2**62, (), generator=generator))

    def temperature(self, now: StepInfo) -> float:
        """Linear in the epoch, from the first to the last."""
        passed = now.epoch / max(1, now.epochs - 1)
        return self.temperature_start + (self.temperature_end - self.temperature_start) * passed

    def sample(self, space: SearchSpace, choices: Choices, now: StepInfo) -> Tensor:
        """The architecture of this step, as a function of alpha, of what is kept, of the seed and of the step."""
        self.draw = Draw.of(choices, derive_seed(self.seed, "gumbel", now.stage, now.step), self.temperature(now))
        return self.draw.mask

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """The straight-through weights while what was drawn is what counts, at all other times softmax(alpha)."""
        if self.draw is not None and self.draw.in_force:
            return self.draw.straight_through(alpha)
        return softmax(alpha, active)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Alpha first: both turns have the same draw, and the weights that judge it must not have learnt from it."""
        return (
            Update(ALPHA, moves_weights=False, moves_alpha=True),
            Update(WEIGHTS, moves_weights=True, moves_alpha=False),
        )

    def make_alpha_optimizer(self, alpha: nn.Parameter) -> torch.optim.Optimizer:
        """Adam."""
        first, second = self.alpha_betas
        return torch.optim.Adam([alpha], lr=self.alpha_lr, betas=(first, second), weight_decay=self.alpha_weight_decay)
