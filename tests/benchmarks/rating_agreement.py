"""Whether the ratings of a search agree with the errors that the same architectures have when trained alone.

    python tests/benchmarks/rating_agreement.py runs/dna-0 runs/random-0

The first run is a search that rates the paths of its supernet, such as one of `dna`; the others have trained
architectures of the same space for a few epochs each, scaled to one budget (selector `evolution`). Every architecture
of the latter is rated by the supernet of the former, also if its paths were not among those rated in the search.

The networks that were trained have equal costs, but paths are rated at the width of the supernet, where some cost more
than others and are rated better for it. So the second row is about the ratings at equal cost: what is left of them
after a linear fit in the logarithms of params and MACs at that width. The third is about that fit alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nasplug.builtin.selectors.rating import RATING
from nasplug.plugins import load_plugins
from nasplug.report.rank_statistics import estimate, kendall, spearman
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.decision import initial_search_state, read_scores
from nasplug.runs.distillation import load_search_teacher
from nasplug.runs.search import begin_search
from nasplug.store.checkpoint import load_checkpoint
from nasplug.store.run_folder import RunFolder
from nasplug.supernets import PathRating
from nasplug.values import Genotype

Values = npt.NDArray[np.float64]


def rate(context: RunContext, genotypes: Sequence[Genotype], images: int, recalibration: int) -> Values:
    """The summed ratings of the paths of these architectures, (architectures,)."""
    trainer = begin_search(context, load_search_teacher)
    load_checkpoint(context.folder.checkpoint("search"), trainer)
    state = initial_search_state(context, trainer)
    if state.net is None or not state.raters:
        raise SystemExit(f"{context.folder.path} has no supernet whose paths could be rated")
    calibration = list(state.images(state.weights_split, recalibration))
    rated = list(state.images(RATING, images))
    sums = np.zeros(len(genotypes))
    for rater in state.raters:
        places = set(next(iter(state.space.paths(rater.block).enumerate())).places)
        paths = [
            Genotype(each.space, [(name, picked) for name, picked in each.picks if name in places])
            for each in genotypes
        ]
        rating = PathRating(state.net, state.space, rater, calibration, rated)
        known = {each.path: each.rating for each in rating.rate(dict.fromkeys(paths))}
        sums += [known[path] for path in paths]
    return sums


def fit_costs(context: RunContext, genotypes: Sequence[Genotype], ratings: Values) -> Values:
    """The ratings to be expected of architectures of these costs at the width of the supernet, (architectures,)."""
    costs = [context.composition.space.cost(genotype, context.shape) for genotype in genotypes]
    terms = np.array([[1.0, np.log(cost.params), np.log(cost.macs)] for cost in costs])
    solution, *_ = np.linalg.lstsq(terms, ratings, rcond=None)
    return np.asarray(terms @ solution)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search", type=Path)
    parser.add_argument("trained", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--recalibration-images", type=int, default=256)
    options = parser.parse_args()
    plugins = load_plugins()
    errors: dict[Genotype, float] = {}
    for path in options.trained:
        errors |= read_scores(reopen_context(RunFolder.existing(path), plugins))
    genotypes, context = list(errors), reopen_context(RunFolder.existing(options.search), plugins)
    ratings = rate(context, genotypes, options.images, options.recalibration_images)
    fitted = fit_costs(context, genotypes, ratings)
    print(f"{len(genotypes)} architectures")
    for label, scores in (("rating", ratings), ("at equal cost", ratings - fitted), ("fit of costs", fitted)):
        for name, statistic in (("Kendall tau", kendall), ("Spearman", spearman)):
            figure = estimate(statistic, scores.tolist(), list(errors.values()))
            if figure is not None:
                low, high = figure.interval
                print(f"{label:15s} {name:12s} {figure.value:+.2f} ({low:+.2f} to {high:+.2f})")


if __name__ == "__main__":
    main()
