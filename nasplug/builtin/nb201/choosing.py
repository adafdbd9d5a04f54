"""The choices of the space, one for each edge, and the genotype that weighed choices stand for."""

from __future__ import annotations

from torch import Tensor

from nasplug.builtin.nb201.names import PLACES
from nasplug.builtin.nb201.notation import write
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype

BLOCKS = (0, 1, 2)
"""All cells share one topology, so each choice affects all three stages."""


def choices_of(operations: tuple[str, ...]) -> tuple[Choice, ...]:
    """A choice for each edge; a genotype holds exactly one of its candidates."""
    return tuple(Choice(where, operations, at_least=1, at_most=1, blocks=BLOCKS) for where in PLACES)


def decode(choices: Choices, weights: Tensor) -> Genotype:
    """The heaviest operation of every edge, `none` among them, of those that count; ties go to the first.

    (DARTS-V1 on NAS-Bench-201.) An edge of which no candidate counts gets the first of all.
    """
    table = weights.tolist()
    strongest = []
    for row, columns in enumerate(choices.active_columns):
        column = max(columns, key=table[row].__getitem__, default=0)
        strongest.append(choices.choices[row].candidates[column])
    return write(strongest)


def encode(genotype: Genotype, choices: Choices) -> Tensor:
    """The candidates that a genotype holds; edges that it does not name keep all of theirs."""
    mask = choices.valid_mask.clone()
    for where, picked in genotype.picks:
        row = choices.rows[where]
        for column, name in enumerate(choices.choices[row].candidates):
            mask[row, column] = name in picked
    return mask
