"""One run of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError, command
from nasplug.report.number_format import format_setting
from nasplug.report.paired_comparison import PairedComparison, compare_pairs
from nasplug.report.reference_comparison import ReferenceComparison, compare_with_reference
from nasplug.report.run_record import RunRecord, read_run_record
from nasplug.store.network_result import NetworkResult
from nasplug.store.run_state import is_run
from nasplug.values.options import option_values
from nasplug.values.recipe import (
    EARLIER_SELECTION,
    LATER_SLOTS,
    SLOTS,
    BudgetOptions,
    DataOptions,
    RetrainOptions,
    RunOptions,
    SearchOptions,
    SelectOptions,
    decisive_options,
)

IN_EVERY_RECIPE = (*(slot for slot in SLOTS if slot not in LATER_SLOTS), "data", "search", "retrain", "select", "run")
"""Sections without which a recipe is damaged."""
TOLD_APART = {"run": ("method", "preset", "seed", "command"), "data": ("name",)}
"""By section, decisive options that are compared otherwise or not at all.

Those by which runs are put into families, the seed, and the words of the command, where versions before 0.2 have them.
"""
EARLIER: Mapping[str, Mapping[str, Any]] = {
    "run": option_values(RunOptions()),
    "data": option_values(DataOptions()),
    "search": option_values(SearchOptions()),
    "retrain": option_values(RetrainOptions()),
    "select": {**option_values(SelectOptions()), **EARLIER_SELECTION},
    "budget": BudgetOptions().to_dict(),
}
"""By section, what options are in runs of versions that did not have them yet, as where such a run is resumed."""


@attrs.frozen
class ComparedRun:
    """A run whose best network and random networks are comparable with those of other seeds."""

    folder: str
    seed: int
    space: str
    preset: str
    record: RunRecord
    options: Mapping[str, str]
    """All that decides what is measured: options as "section.option", "images", and "networks" (trained, table)."""

    @property
    def method(self) -> str:
        """The method."""
        return self.record.result.method

    @property
    def dataset(self) -> str:
        """The data set."""
        return self.record.result.dataset

    @property
    def digests(self) -> Mapping[str, str]:
        """What identifies the images ("data") and those of each split; empty if the run did not record them."""
        digests = self.record.result.entries.get("digests")
        return digests if isinstance(digests, Mapping) else {}

    @property
    def networks(self) -> tuple[NetworkResult, ...]:
        """All its networks."""
        return self.record.result.networks

    @property
    def best(self) -> NetworkResult | None:
        """The network that the run chose, never by test error; None while there is none."""
        return self.record.result.network(self.record.result.best)

    @property
    def accuracy(self) -> float | None:
        """Test accuracy of the best network, from 0 to 1."""
        best = self.best
        return None if best is None or best.test_error is None else 1 - best.test_error

    @property
    def comparison(self) -> PairedComparison | None:
        """The pairs of found and random networks."""
        return compare_pairs(self.record.result)

    @property
    def gain(self) -> float | None:
        """Mean test error of the random networks minus that of the found ones of their size."""
        comparison = self.comparison
        return None if comparison is None else comparison.mean

    @property
    def reference_comparison(self) -> ReferenceComparison | None:
        """The best found network beside the best reference network of its cost."""
        return compare_with_reference(self.record.result)

    @property
    def reference_gain(self) -> float | None:
        """Test error of the best reference network minus that of the best found one."""
        comparison = self.reference_comparison
        return None if comparison is None else comparison.gain

    @property
    def seconds(self) -> float:
        """What all training took: teacher, search, retraining, random and reference networks."""
        return sum(phase.seconds or 0.0 for phase in self.record.result.cost.values())

    @property
    def search_seconds(self) -> float:
        """What finding the architectures took: teacher and search."""
        return sum(phase.seconds or 0.0 for name, phase in self.record.result.cost.items() if "/" not in name)

    @property
    def devices(self) -> tuple[str, ...]:
        """Where it computed."""
        return tuple(sorted({phase.device for phase in self.record.result.cost.values() if phase.device}))


def read_run(folder: Path) -> ComparedRun:
    """Reads a run folder. InputError if there is none or it is damaged; the run need not be finished."""
    if not is_run(folder):
        raise InputError(f"'{folder}' is no run folder: it has no recipe.toml. Name the folders of finished runs.")
    record = read_run_record(folder)
    if record.result.status == "done" and record.result.network(record.result.best) is None:
        raise InputError(
            f"'{folder}/result.json' is damaged: it names no best network of the run; "
            f"'{command('resume', folder)}' writes it again."
        )
    try:
        seed = int(record.recipe["run"]["seed"])
        space, preset = str(record.recipe["space"]["part"]), str(record.recipe["run"]["preset"])
        options = _options(record.recipe)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{folder}/recipe.toml' is damaged ({error!r}); restore it from a copy of the run."
        ) from error
    images = " + ".join(f"{count} {split}" for split, count in record.result.splits.items())
    sources = " + ".join(sorted({network.source for network in record.result.networks}))
    return ComparedRun(str(folder), seed, space, preset, record, options | {"images": images, "networks": sources})


def _options(recipe: Mapping[str, Any]) -> dict[str, str]:
    sections = {name: recipe[name] for name in IN_EVERY_RECIPE}
    sections |= {name: options for name, options in recipe.items() if isinstance(options, Mapping)}
    complete = sections | {name: {**options, **sections.get(name, {})} for name, options in EARLIER.items()}
    return {
        f"{section}.{name}": format_setting(value)
        for section, options in decisive_options(complete).items()
        for name, value in options.items()
        if name not in TOLD_APART.get(section, ())
    }
