"""Genotypes of spaces whose blocks have choices of their own, each of which holds one candidate.

A place is named BLOCK/NAME, such as "0/cell" or "0/1"; blocks count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nasplug.errors import InputError, quote, quote_all
from nasplug.parts import Choices
from nasplug.values import Genotype


def read_picks(genotype: Genotype, space: str, example: str) -> dict[int, dict[str, str]]:
    """What a genotype, or a part of one, holds: by block and place the one candidate picked there.

    Raises InputError if it belongs to another space than `space`, for a place without a block, and where not exactly
    one candidate is picked. `example` says in messages how places are written.
    """
    if genotype.space != space:
        raise InputError(f"This genotype belongs to the space {quote(genotype.space)}, not to '{space}'.")
    picks: dict[int, dict[str, str]] = {}
    for place, names in genotype.picks:
        number = place.partition("/")[0]
        if not (number.isascii() and number.isdecimal() and len(number) < 4):
            raise InputError(f"A place is written {example}, but {quote(place)} is not.")
        if len(names) != 1:
            held = quote_all(names) or "nothing"
            raise InputError(f"At {quote(place)} exactly one candidate is picked in this space, but here it is {held}.")
        picks.setdefault(int(number), {})[place] = names[0]
    return picks


def check_numbers(blocks: Mapping[int, object], word: str) -> None:
    """Raises InputError unless blocks, which users know as `word`, are numbered from 0 in order."""
    if not blocks or list(blocks) != list(range(len(blocks))):
        found = quote_all(blocks) if blocks else "none"
        raise InputError(f"The {word} of a genotype are numbered from 0 in order; this one has {found}.")


def encode_picks(picks: Mapping[int, Mapping[str, str]], choices: Choices) -> Tensor:
    """The candidates picked, by block and choice, as bool (choices, candidates) on the CPU.

    Choices of a block that picks nothing there hold none; those of blocks that are missing hold all of theirs.
    """
    width = choices.valid_mask.shape[1]
    rows = []
    for choice in choices:
        (block,) = choice.blocks
        name = picks[block].get(choice.name) if block in picks else None
        row = [block not in picks or candidate == name for candidate in choice.candidates]
        rows.append(row + [False] * (width - len(row)))
    return torch.tensor(rows, dtype=torch.bool)


def strongest_columns(choices: Choices, weights: Tensor) -> dict[str, int]:
    """Of every choice the column of the active candidate with the largest weight; ties go to the first."""
    masked = torch.where(choices.active_mask.to(weights.device), weights, -torch.inf)
    table: list[list[float]] = masked.tolist()
    return {name: table[row].index(max(table[row])) for name, row in choices.rows.items()}
