"""A sample of architectures, the scores that a search gave to them, and the errors that they reached when trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import attrs
import numpy as np

from nasplug.errors import InputError, command
from nasplug.report.number_format import format_percent
from nasplug.report.rank_statistics import Estimate, estimate, expected_least, kendall, regret, spearman
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult, read_result
from nasplug.store.run_folder import RunFolder

LABELS: Mapping[str, str] = {
    "rating": "summed rating of its paths",
    "alpha": "negative log-likelihood of its picks",
    "supernet": "error in the supernet",
}
"""What the scores are."""
SPLITS = {"val_error": "validation", "test_error": "test"}
"""The errors of a network, and the images that they are measured on."""
TOPS = (1, 5)
"""How many of the best scores are trained where the regret is measured."""


@attrs.frozen
class Regret:
    """What is lost by training only the best `count` of the order."""

    count: int
    estimate: Estimate
    of_random: float
    """What is lost on average by training as many random ones of the sample."""


@attrs.frozen
class Agreement:
    """How well the order of one score agrees with that of the errors; None where all scores or errors are equal."""

    kendall: Estimate | None
    spearman: Estimate | None
    regrets: tuple[Regret, ...]


@attrs.frozen
class Ranking:
    """The trained sample of one search; everything is in the order of `networks`."""

    result: RunResult
    networks: tuple[NetworkResult, ...]
    errors: tuple[float, ...]
    """From 0 to 1: of validation and test images together, or of a table."""
    images: int | None
    """On how many images each error was measured; None for those of a table."""
    scores: Mapping[str, tuple[float, ...]]
    """By name of the score, the lower the better."""

    def agreement(self, name: str) -> Agreement:
        """How well the score `name` predicts the errors."""
        scores, errors = self.scores[name], self.errors
        regrets = []
        for count in (count for count in TOPS if count < len(errors)):
            found = estimate(regret(count), scores, errors)
            if found is not None:
                regrets.append(Regret(count, found, expected_least(np.array(errors), count) - min(errors)))
        return Agreement(estimate(kendall, scores, errors), estimate(spearman, scores, errors), tuple(regrets))

    def noise(self) -> float | None:
        """The standard deviation that an error has by the choice of its images alone.

        None for errors of a table, and for those that are no shares of images.
        """
        if self.images is None or not self.result.has_classes:
            return None
        return math.sqrt(fmean(error * (1 - error) for error in self.errors) / self.images)

    def describe(self) -> str:
        """How much the errors differ, and how much of that is chance, in a sentence or two."""
        least, most = min(self.errors), max(self.errors)
        spread = stdev(self.errors)
        text = f"The errors of {len(self.errors)} networks are {format_percent(least)} to {format_percent(most)}"
        noise = self.noise()
        if noise is None:
            return f"{text}, their standard deviation is {100 * spread:.2f} points."
        text += (
            f" on {self.images:,} held-out images. Their standard deviation is {100 * spread:.2f} points; that of one "
            f"error, by the choice of its images alone, is {100 * noise:.2f}"
        )
        if spread < 2 * noise:
            text += ", so that much of their order is chance, and no score can predict it well"
        return f"{text}."

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to `rank.json`."""
        agreements = {name: attrs.asdict(self.agreement(name)) for name in self.scores}
        return {
            "schema": 1,
            "method": self.result.method,
            "seed": self.result.seed,
            "images": self.images,
            "noise": self.noise(),
            "agreement": agreements,
            "networks": [
                {
                    "id": network.id,
                    "genotype": network.entry.get("genotype"),
                    "params": network.params,
                    "error": error,
                    "scores": {name: scores[place] for name, scores in self.scores.items()},
                }
                for place, (network, error) in enumerate(zip(self.networks, self.errors, strict=True))
            ],
        }


def read_ranking(folder: Path) -> Ranking:
    """Reads the sample that was trained in `folder`. InputError if it is damaged, no sample, or not finished."""
    result = read_result(folder)
    if result.status != "done":
        raise InputError(f"'{folder}' is not finished; go on with: {command('resume', folder)}")
    record, networks = RunFolder(folder).done("select") or {}, result.networks
    try:
        scores = {
            str(name): tuple(float(values[network.id]) for network in networks)
            for name, values in record["scores"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{folder}' holds no sample of the order of a search ({error!r}); name another folder."
        ) from error
    is_table = any(network.source == "table" for network in networks)
    # Errors of a table are test errors where there are any; others are counted on all images that were held out.
    images = {SPLITS[name]: result.splits.get(SPLITS[name], 0) for name in SPLITS}
    measured = [name for name in SPLITS if all(getattr(network, name) is not None for network in networks)]
    if not (networks and measured):
        raise InputError(f"'{folder}' has networks without an error; go on with: {command('resume', folder)}")
    counts = {measured[-1]: 1} if is_table else {name: images[SPLITS[name]] for name in measured}
    total = sum(counts.values())
    return Ranking(
        result=result,
        networks=networks,
        errors=tuple(sum(getattr(network, name) * counts[name] for name in counts) / total for network in networks),
        images=None if is_table else total,
        scores=scores,
    )
