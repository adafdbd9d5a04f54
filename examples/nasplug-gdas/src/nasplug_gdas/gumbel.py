"""Drawing one candidate of each choice in a way that can be differentiated.

Alpha plus Gumbel noise has its maximum at candidate k with the probability softmax(alpha)_k: the Gumbel-max trick. Its
relaxation is softmax((alpha + noise) / temperature), the Gumbel-softmax (Jang, Gu & Poole; Maddison, Mnih & Teh; both
ICLR 2017), which is nearer to one-hot the lower the temperature. Here the drawn candidate is computed as it is, with
a weight of exactly 1, while gradients flow as if its weight were the relaxed one: the straight-through estimator.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices, softmax


@attrs.frozen(eq=False)
class Draw:
    """One candidate of every choice, drawn among those kept, and all that its gradient takes."""

    choices: Choices
    mask: Tensor
    """The candidates drawn, bool (choices, candidates) on the CPU."""
    noise: Tensor
    """The noise that decided, (choices, candidates), where alpha is."""
    kept: Tensor
    """The candidates that could have been drawn, bool (choices, candidates), where alpha is."""
    temperature: float

    @classmethod
    @torch.no_grad()
    def of(cls, choices: Choices, seed: int, temperature: float) -> Draw:
        """Draws from softmax(alpha) over the kept candidates: a function of alpha, of what is kept and of the seed.

        The host has to know what to compute, so a GPU is waited for, once.
        """
        alpha, kept = choices.alpha, choices.kept
        noise = gumbel_noise(tuple(alpha.shape), seed)
        reached = (alpha.cpu().double() + noise).masked_fill(~kept.cpu(), -torch.inf)
        mask = torch.zeros(reached.shape, dtype=torch.bool).scatter_(1, reached.argmax(1, keepdim=True), True)
        return cls(choices, mask & kept.cpu(), noise.to(alpha), kept.clone(), temperature)

    @property
    def in_force(self) -> bool:
        """Whether what was drawn is what counts now."""
        mask = self.choices.mask
        return mask is not None and torch.equal(mask, self.mask)

    def relaxed(self, alpha: Tensor) -> Tensor:
        """The Gumbel-softmax of this draw, (choices, candidates), of which `mask` is the limit at temperature 0."""
        return softmax((alpha + self.noise) / self.temperature, self.kept)

    def straight_through(self, alpha: Tensor) -> Tensor:
        """Exactly 1 where drawn, else 0; of what was drawn the gradient is that of `relaxed`."""
        relaxed = self.relaxed(alpha)
        return self.mask.to(relaxed) * (1 + (relaxed - relaxed.detach()))


def gumbel_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Independent draws of the standard Gumbel distribution, float64: a function of the seed alone."""
    waiting = torch.empty(shape, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(seed))
    # An exponential draw can round to 0, whose logarithm is infinite.
    return -waiting.clamp_min(torch.finfo(waiting.dtype).tiny).log()
