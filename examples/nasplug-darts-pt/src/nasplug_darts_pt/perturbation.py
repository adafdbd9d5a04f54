"""Selection by perturbation (Wang et al., Rethinking Architecture Selection in Differentiable NAS, ICLR 2021).

Alpha does not say how much an operation contributes to the supernet. So each choice is decided by what the supernet
answers without each of its candidates, and the rest of the supernet is tuned after each decision (algorithm 1).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices, SearchSpace, SearchState, Selector, option
from nasplug.parts.selector import Selected
from nasplug.values import Evaluated, Found

SPLIT = "train.perturbation"


@attrs.define
class Perturbation(Selector):
    """Decides choice by choice, in a random order: the candidate stays whose removal leads to the largest error.

    Of equal errors the larger loss decides. Of a choice of which every genotype holds several candidates, so many stay.
    Where genotypes leave choices out, such as all but two edges of a node of DARTS, those stay whose removal as a
    whole, at the end, leads to the largest loss.
    """

    evaluates = True
    score = "supernet_error"
    best_first = True

    share: float = option(0.2, "share of the training images on which candidates are compared", above=0, at_most=0.5)
    images: int = option(1024, "images of that share on which the supernet is evaluated, at most", at_least=1)
    epochs: int = option(5, "epochs for which the supernet is tuned after each decision; 0: it is not", at_least=0)
    lr_share: float = option(0.1, "learning rate of this tuning, as a share of that of the search", above=0)

    def splits(self) -> Mapping[str, float]:
        """One share, for the comparison of candidates."""
        return {SPLIT: self.share}

    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """One architecture, with the error of the supernet that has nothing but its candidates left."""
        space, net = search_state.space, search_state.net
        if net is None:  # never, as this selector needs a supernet
            return
        choices = net.choices
        left = choices.kept.cpu().clone()
        order = list(range(len(choices)))
        search_state.random("order").shuffle(order)
        for row in order:
            columns, least = _eligible(space, choices, left, row), choices.choices[row].at_least
            if len(columns) <= least or not _counts(choices, left, row):
                continue
            missed = {}
            for column in columns:
                missed[column] = yield from self._evaluate(search_state, _without(left, row, column))
            ranked = sorted(missed, key=lambda column: (missed[column].error, missed[column].loss), reverse=True)
            left = _only(left, row, ranked[:least])
            if self.epochs > 0:
                yield from search_state.fine_tune(left, self.epochs, self.lr_share)
        weights = left.to(torch.float32)
        held = space.encode(space.decode(choices, weights), choices)
        decided = [row for row in range(len(choices)) if _counts(choices, left, row)]
        if not held[decided].any(1).all():  # genotypes leave choices out
            for row in decided:
                evaluated = yield from self._evaluate(search_state, _without(left, row))
                weights[row] = left[row] * evaluated.loss
        genotype = space.decode(choices, weights.to(choices.alpha.device))
        final = yield from self._evaluate(search_state, space.encode(genotype, choices) & left)
        step = search_state.snapshots[-1].step if search_state.snapshots else 0
        yield Found(genotype, step, "perturbation", {self.score: final.error})

    def _evaluate(self, search_state: SearchState, candidates: Tensor) -> Generator[Evaluated, None, Evaluated]:
        return search_state.evaluate(candidates, SPLIT, self.images)


def _counts(choices: Choices, left: Tensor, row: int) -> bool:
    """Whether a choice has candidates left and is not part of a candidate that has been decided against."""
    above = _parent(choices, row)
    return bool(left[row].any()) and (above is None or (bool(left[above]) and _counts(choices, left, above[0])))


def _parent(choices: Choices, row: int) -> tuple[int, int] | None:
    """Row and column of the candidate that a choice is part of; None if it is part of none."""
    parent = choices.choices[row].parent
    if parent is None:
        return None
    above = choices.rows[parent[0]]
    return above, choices.choices[above].candidates.index(parent[1])


def _eligible(space: SearchSpace, choices: Choices, left: Tensor, row: int) -> list[int]:
    """The candidates left in a choice that a genotype can hold: `none` of DARTS weighs in a search, but no more."""
    return [
        column for column in left[row].nonzero().flatten().tolist() if _can_be_held(space, choices, left, row, column)
    ]


def _can_be_held(space: SearchSpace, choices: Choices, left: Tensor, row: int, column: int) -> bool:
    """Whether a candidate is part of the architecture where it weighs the most, and so do those that it is part of."""
    weights, at = left.to(torch.float32), (row, column)
    while at is not None:
        weights[at] = 2.0
        at = _parent(choices, at[0])
    return bool(space.encode(space.decode(choices, weights.to(choices.alpha.device)), choices)[row, column])


def _without(left: Tensor, row: int, column: int | None = None) -> Tensor:
    """The candidates left but for one, or for those of a whole choice."""
    mask = left.clone()
    mask[row, slice(None) if column is None else column] = False
    return mask


def _only(left: Tensor, row: int, columns: list[int]) -> Tensor:
    """The candidates left, in one choice no others than these."""
    mask = _without(left, row)
    mask[row, columns] = True
    return mask
