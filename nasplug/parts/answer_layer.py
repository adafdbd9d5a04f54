"""What stands after the logits of a network where it answers a user."""

from __future__ import annotations

from typing import Literal

import attrs
from torch import Tensor


@attrs.frozen
class AnswerLayer:
    """The function from logits to answers, (N, outputs) each: the last layer of an exported graph."""

    function: Literal["softmax", "sigmoid", "affine"]
    divisor: tuple[float, ...] = ()
    """Of an affine function, by output, what logits are divided by."""
    offset: tuple[float, ...] = ()
    """Of an affine function, by output, what is subtracted afterwards.

    Quotients and differences stay in 32 bits where a graph gets 8, unlike products and sums.
    """

    @property
    def name(self) -> str:
        """What the answers are."""
        return "values" if self.function == "affine" else "probabilities"

    def __call__(self, logits: Tensor) -> Tensor:
        """The answers, in the precision of the logits."""
        match self.function:
            case "softmax":
                return logits.softmax(1)
            case "sigmoid":
                return logits.sigmoid()
            case "affine":
                return logits / logits.new_tensor(self.divisor) - logits.new_tensor(self.offset)


SOFTMAX = AnswerLayer("softmax")
"""Probabilities of classes."""
