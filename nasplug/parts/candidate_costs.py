"""What each candidate of a supernet adds to a cost, found from the costs of whole architectures.

A cost of an architecture is taken to be

    b + sum of c over the candidates that it holds,

and b and c are fitted to sampled architectures by least squares, so that this works for every space and every measure.
Where the cost is such a sum, the fit is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts.choice import Choices
from nasplug.parts.cost_model import CostModel
from nasplug.parts.space import SearchSpace

Values = npt.NDArray[np.float64]
PER_CANDIDATE = 4
"""Architectures that are sampled for each candidate, beside LEAST."""
LEAST = 128
"""The least number of architectures that b and c are fitted to, and the number on which the fit is assessed."""
DEPENDENT = 1e-8
"""Share of a column that others have to leave unexplained for it to say something of its own."""


@attrs.frozen(eq=False)
class CandidateCosts:
    """The fit of one measure, in its unit."""

    base: float
    """b: what all architectures cost alike."""
    table: Tensor
    """c, float64 (choices, candidates), on the CPU.

    Sampled architectures cannot tell what all candidates of a choice have in common from `base`, as each has one of
    them. It is counted to `base`, so that the cheapest costs 0, and so do candidates that no architecture holds, such
    as the `none` of DARTS.
    """
    r_squared: float
    """The share of the variance of costs that expected costs explain, on architectures that the fit has not seen.

    The expected cost of an architecture is that of weights that are equal for all candidates which it holds, and in
    choices of which it holds none all on one, at random: 1 says that nothing is estimated. It is less where candidates
    change one another's costs; where a choice may hold several, because they share a weight of 1; and where a space
    leaves out choices by a rule of its own.
    """
    mean: float
    """The cost of an average random architecture."""


def fit_candidate_costs(
    space: SearchSpace, cost_model: CostModel, names: Collection[str], generator: Random
) -> dict[str, CandidateCosts]:
    """Fits each of these measures to the same random architectures of `space`.

    `cost_model` is of the same space, and prices them at its own size.
    """
    choices = Choices(space.choice_list())
    count = LEAST + PER_CANDIDATE * int(choices.valid_mask.sum())
    genotypes = [space.random(generator) for _ in range(count + LEAST)]
    masks = torch.stack([space.encode(genotype, choices) for genotype in genotypes])
    held = masks[:, choices.valid_mask]
    design = np.column_stack([np.ones(len(genotypes)), held.numpy().astype(np.float64)])
    priced = [cost_model.costs(genotype, names) for genotype in genotypes]
    costs = np.array([[each[name] for name in names] for each in priced], dtype=np.float64)
    solutions = _solve(design[:count], costs[:count])
    presence = [choices.nesting(_lead_to(mask, choices, generator)) for mask in masks[count:]]
    fits = {}
    for name, solution, every, own in zip(names, solutions.T, costs.T, costs[count:].T, strict=True):
        table = torch.zeros(choices.valid_mask.shape, dtype=torch.float64)
        table[choices.valid_mask] = torch.from_numpy(solution[1:].copy())
        r_squared = _r_squared(own, np.array([float((each * table).sum()) for each in presence]))
        fits[name] = CandidateCosts(float(solution[0]), table, r_squared, mean=float(np.mean(every)))
    return fits


def _solve(design: Values, costs: Values) -> Values:
    """The least-squares solutions, (columns, measures), for the costs of architectures, (architectures, measures).

    Of columns that depend on each other, the cheapest has the coefficient 0.
    """
    # Of all solutions this has the least norm. The others differ by what dependent columns have in common, so that it
    # ranks these rightly.
    least_norm, _, rank, _ = np.linalg.lstsq(design, costs, rcond=None)
    solutions: Values = np.asarray(least_norm, dtype=np.float64)
    if rank == design.shape[1]:
        return solutions
    for number, ranking in enumerate(least_norm.T.copy()):
        kept = _independent(design, [0, *(1 + np.argsort(-ranking[1:], kind="stable")).tolist()])
        solutions[:, number] = 0
        solutions[kept, number] = np.linalg.lstsq(design[:, kept], costs[:, number], rcond=None)[0]
    return solutions


def _independent(design: Values, order: Sequence[int]) -> list[int]:
    """The columns that do not depend on those before them in this order (by Gram and Schmidt)."""
    basis, kept = np.zeros_like(design, order="F"), list[int]()
    for column in order:
        known, rest = basis[:, : len(kept)], design[:, column]
        for _ in range(2):  # the second time removes what rounding has left
            rest = rest - known @ (known.T @ rest)
        norm = np.linalg.norm(rest)
        if norm > DEPENDENT * np.linalg.norm(design[:, column]):
            basis[:, len(kept)] = rest / norm
            kept.append(column)
    return kept


def _lead_to(mask: Tensor, choices: Choices, generator: Random) -> Tensor:
    """Weights, float64 (choices, candidates), for which a search ends with the architecture that holds `mask`."""
    weights = mask.double()
    for row, choice in enumerate(choices):
        if not mask[row].any():
            weights[row, generator.randrange(len(choice.candidates))] = 1
    return weights / weights.sum(1, keepdim=True)


def _r_squared(costs: Values, expected: Values) -> float:
    """The share of the variance of `costs` that a linear function of `expected` explains."""
    variance, spread, common = np.cov(costs, expected)[[0, 1, 0], [0, 1, 1]]
    if variance <= 0:
        return 1.0
    return float(common**2 / (variance * spread)) if spread > 0 else 0.0
