"""How well costs were estimated during a search, beside what was measured on the networks."""

from __future__ import annotations

from math import isnan
from statistics import median

import numpy as np

from nasplug.report.rank_statistics import spearman
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
        agreement = spearman(*np.array(pairs).T)
        ranks = "" if len(pairs) < 3 or isnan(agreement) else f"; their rank correlation (Spearman) is {agreement:.2f}"
        listed = ", ".join(f"{unit.format(estimate)} for {unit.format(cost)}" for estimate, cost in pairs[:4])
        more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
        sentences.append(
            f"The {name} of networks was estimated as a sum over their layers before it was measured: {listed}{more}. "
            f"The median error of an estimate is {100 * error:.0f} %{ranks}."
        )
    return sentences
