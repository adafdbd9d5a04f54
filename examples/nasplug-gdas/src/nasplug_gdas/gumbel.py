"""Differentiable sampling of one candidate of each choice.

Alpha plus Gumbel noise has its maximum at candidate k with the probability softmax(alpha)_k: the Gumbel-max trick. Its
relaxation is softmax((alpha + noise) / temperature), the Gumbel-softmax (Jang, Gu & Poole; Maddison, Mnih & Teh; both
ICLR 2017), which approaches one-hot as the temperature falls. Here the sampled candidate has a weight of exactly 1 in
the forward pass, while in the backward pass its weight is the relaxed one: the straight-through estimator.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices, softmax


@attrs.frozen(eq=False)
class Sample:
    """One candidate of every choice, sampled among those that count, and what its gradient is computed from."""

    choices: Choices
    mask: Tensor
    """The sampled candidates, bool (choices, candidates) on the CPU."""
    noise: Tensor
    """The Gumbel noise, (choices, candidates), on the device of alpha."""
    counting: Tensor
    """The candidates that could have been sampled, bool (choices, candidates), on the device of alpha."""
    temperature: float

    @classmethod
    @torch.no_grad()
    def of(cls, choices: Choices, seed: int, temperature: float) -> Sample:
        """Samples from softmax(alpha) over the candidates that count: a function of alpha, of these and of the seed.

        The host has to know which candidates to compute, so it waits for the GPU once.
        """
        alpha, counting = choices.alpha, choices.active_mask
        noise = gumbel_noise(tuple(alpha.shape), seed)
        perturbed = (alpha.cpu().double() + noise).masked_fill(~counting.cpu(), -torch.inf)
        mask = torch.zeros(perturbed.shape, dtype=torch.bool).scatter_(1, perturbed.argmax(1, keepdim=True), True)
        return cls(choices, mask & counting.cpu(), noise.to(alpha), counting.clone(), temperature)

    @property
    def is_active(self) -> bool:
        """Whether the candidates that count at present are those of this sample."""
        mask = self.choices.mask
        return mask is not None and torch.equal(mask, self.mask)

    def relaxed(self, alpha: Tensor) -> Tensor:
        """The Gumbel-softmax of this sample, (choices, candidates). Its limit at temperature 0 is `mask`."""
        return softmax((alpha + self.noise) / self.temperature, self.counting)

    def straight_through(self, alpha: Tensor) -> Tensor:
        """Weights of 1 for sampled candidates, else 0; the gradient of a weight of 1 is that of `relaxed`."""
        relaxed = self.relaxed(alpha)
        return self.mask.to(relaxed) * (1 + (relaxed - relaxed.detach()))


def gumbel_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Independent samples of the standard Gumbel distribution, float64: a function of the seed alone."""
    exponential = torch.empty(shape, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(seed))
    # An exponential sample can round to 0, whose logarithm is infinite.
    return -exponential.clamp_min(torch.finfo(exponential.dtype).tiny).log()
