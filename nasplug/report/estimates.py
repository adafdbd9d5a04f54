"""How well costs were estimated during a search, beside what was measured on the networks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
import numpy.typing as npt

from nasplug.store.result import RunResult


def describe_estimates(result: RunResult) -> list[str]:
    """For each cost that was first estimated and then measured, a sentence on how the two agree."""
    sentences = []
    for name, unit in result.units.items():
        pairs = [(each.estimates[name], each.costs[name]) for each in result.networks if name in each.estimates]
        pairs = [(estimate, cost) for estimate, cost in pairs if cost > 0]
        if not pairs:
            continue
        error = median(abs(estimate - cost) / cost for estimate, cost in pairs)
        ranks = "" if len(pairs) < 3 else f"; their rank correlation (Spearman) is {rank_correlation(pairs):.2f}"
        listed = ", ".join(f"{unit.format(estimate)} for {unit.format(cost)}" for estimate, cost in pairs[:4])
        more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
        sentences.append(
            f"The {name} of networks was estimated as a sum over their layers before it was measured: {listed}{more}. "
            f"The median error of an estimate is {100 * error:.0f} %{ranks}."
        )
    return sentences


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation of two quantities, ties with their mean rank; 0 where one of them is constant."""
    first, second = (_ranks(np.array(column)) for column in zip(*pairs, strict=True))
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(1, dtype=np.float64)
    equal = (values[None, :] == values[:, None]).sum(1, dtype=np.float64)
    ranks: npt.NDArray[np.float64] = below + (equal - 1) / 2
    return ranks
