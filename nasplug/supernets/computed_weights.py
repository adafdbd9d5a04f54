"""What one forward pass of a supernet computes, as plain columns and vectors."""

from __future__ import annotations

import attrs
from torch import Tensor

from nasplug.parts import Choices
from nasplug.parts.choice import Columns


@attrs.frozen(eq=False)
class ComputedWeights:
    """The columns of each row of the table of choices that are computed, and the weights of each row."""

    columns: Columns
    rows: tuple[Tensor, ...]

    @classmethod
    def of(cls, choices: Choices) -> ComputedWeights:
        """Those of the present choices."""
        return cls(choices.computed_columns, choices.weights().unbind(0))
