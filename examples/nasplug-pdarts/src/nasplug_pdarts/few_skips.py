"""The restriction of skip connections in the architecture that P-DARTS ends with (Chen et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choice, SearchSpace, SearchState, Selector, option
from nasplug.parts.selector import Selected
from nasplug.values import Found

NORMAL, SKIP = "normal", "skip_connect"
"""How the space `darts` calls cells that keep the size of maps, and skip connections."""


@attrs.define
class FewSkips(Selector):
    """Decodes the supernet, and leaves out the weakest skip connections as long as a normal cell has too many.

    As long as there are more than `most` skip connections in the normal cell, the weakest of those that were decoded
    gets the weight 0 and the cell is decoded again, which may bring in another candidate of the same edge, another
    edge, or a skip connection that was not there before (paper: M = 2). Reduction cells are left as they are. Where
    nothing else is left to decode, more skip connections stay than `most`; the event says how many there are.
    """

    most: int = option(2, "skip connections that the normal cell may have", at_least=0)

    def check(self, space: SearchSpace) -> None:
        """Raises InputError for spaces without normal cells that have skip connections and share them."""
        if not any(any(row) for row in _skips(space.choice_list())):
            raise InputError(
                f"The selector 'few-skips' counts skip connections of the normal cell, but the space '{space.name}' "
                f"has no choices of a cell '{NORMAL}' with the candidate {SKIP}; take --selector decoded, or --space "
                f"darts with --set space.topology=per-type."
            )

    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """One architecture, with the number of skip connections in its normal cell."""
        space, net = search_state.space, search_state.net
        if net is None:  # never, as this selector needs a supernet
            return
        choices = net.choices
        skips = torch.zeros_like(choices.valid_mask)
        for row, columns in enumerate(_skips(choices.choices)):
            skips[row, : len(columns)] = torch.tensor(columns, dtype=torch.bool)
        weights = choices.weights().detach().cpu().clone()
        open_skips = skips.clone()
        while True:
            genotype = space.decode(choices, weights.to(choices.alpha.device))
            held = space.encode(genotype, choices) & skips
            count = int(held.sum())
            if count <= self.most or not bool((held & open_skips).any()):
                break
            weakest = _weakest(weights, held & open_skips)
            weights[weakest], open_skips[weakest] = 0.0, False
        step = search_state.snapshots[-1].step if search_state.snapshots else 0
        yield Found(genotype, step, "few skips", {"skips": count})


def _skips(choices: tuple[Choice, ...]) -> list[list[bool]]:
    """For each choice, which of its candidates are skip connections of the normal cell."""
    return [
        [choice.name.startswith(f"{NORMAL}/") and text.partition("@")[0] == SKIP for text in choice.candidates]
        for choice in choices
    ]


def _weakest(weights: Tensor, among: Tensor) -> tuple[int, int]:
    """Row and column of the least weight where `among` is true; ties to the first."""
    row, column = divmod(int(weights.masked_fill(~among, torch.inf).argmin()), weights.shape[1])
    return row, column
