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
from nasplug_gdas.gumbel import Sample

WEIGHTS, ALPHA = "train.weights", "train.alpha"


class SamplingOptimizer(ArchitectureOptimizer):
    """Holds the sample of the current step between `sample` and `relax`.

    It is no attrs field, so it is not saved: every step samples again.
    """

    current: Sample | None = None


@attrs.define
class Gdas(SamplingOptimizer):
    """Trains alpha and weights alternately, on one architecture that is sampled in every step.

    Each step samples one candidate of every choice from softmax(alpha), computes only these, and updates alpha on one
    share of the training images, then the weights on the other. The gradient of alpha is that of the Gumbel-softmax
    at the current temperature, which falls with every epoch. At a high temperature, alpha of all candidates of a choice
    gets a gradient from the sampled one; at a low temperature, only alpha of those that were nearly sampled.
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
        """Raises InputError for spaces in which a genotype holds more than one candidate of a choice."""
        larger = next((choice for choice in space.choice_list() if choice.at_least > 1), None)
        if larger is not None:
            raise InputError(
                f"GDAS trains one candidate of each choice at a time, but genotypes of the space '{space.name}' hold "
                f"at least {larger.at_least} of the choice '{larger.name}'; take the optimizer bilevel or one-level."
            )

    def splits(self) -> Mapping[str, float]:
        """One share for the weights, one for alpha."""
        return {WEIGHTS: 1 - self.alpha_share, ALPHA: self.alpha_share}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Samples alpha from a normal distribution so narrow that weights are nearly uniform, and the noise's seed."""
        initial = torch.randn(choices.alpha.shape, generator=generator) * self.alpha_init
        with torch.no_grad():
            choices.alpha.copy_(initial)
        self.seed = int(torch.randint(2**62, (), generator=generator))

    def temperature(self, now: StepInfo) -> float:
        """The temperature, which is linear in the epoch from the first to the last."""
        progress = now.epoch / max(1, now.epochs - 1)
        return self.temperature_start + (self.temperature_end - self.temperature_start) * progress

    def sample(self, space: SearchSpace, choices: Choices, now: StepInfo) -> Tensor:
        """The mask of this step, a function of alpha, the candidates that count, the seed and the step."""
        self.current = Sample.of(choices, derive_seed(self.seed, "gumbel", now.stage, now.step), self.temperature(now))
        return self.current.mask

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """The straight-through weights while the sampled candidates are the active ones, otherwise softmax(alpha)."""
        if self.current is not None and self.current.is_active:
            return self.current.straight_through(alpha)
        return softmax(alpha, active)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Alpha first: both updates use one sample, and the weights that evaluate it must not have learnt from it."""
        return (
            Update(ALPHA, moves_weights=False, moves_alpha=True),
            Update(WEIGHTS, moves_weights=True, moves_alpha=False),
        )

    def make_alpha_optimizer(self, alpha: nn.Parameter) -> torch.optim.Optimizer:
        """Adam for alpha."""
        first, second = self.alpha_betas
        return torch.optim.Adam([alpha], lr=self.alpha_lr, betas=(first, second), weight_decay=self.alpha_weight_decay)
