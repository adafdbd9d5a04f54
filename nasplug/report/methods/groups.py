"""Runs that differ in nothing but the seed and the machine make up one group."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs

from nasplug.errors import InputError, command, quote
from nasplug.report.methods.runs import ComparedRun, read_run
from nasplug.report.methods.searches import find_shared_searches
from nasplug.report.paired_comparison import PairedComparison
from nasplug.report.spread import Spread, measure_spread
from nasplug.values import Unit
from nasplug.values.cost import COUNTED

UNSET = "unset"


@attrs.frozen
class Group:
    """Runs of one method on one data set with the same options."""

    runs: tuple[ComparedRun, ...]
    """By seed."""
    variant: tuple[str, ...]
    """The options that tell it from other groups of this method, space, data set and preset, as "name=value"."""
    title: str
    """What tells it from the other groups on its data set."""

    @property
    def method(self) -> str:
        """The method."""
        return self.runs[0].method

    @property
    def space(self) -> str:
        """The search space."""
        return self.runs[0].space

    @property
    def dataset(self) -> str:
        """The data set."""
        return self.runs[0].dataset

    @property
    def preset(self) -> str:
        """The preset."""
        return self.runs[0].preset

    def cost(self, measure: str) -> Spread | None:
        """A cost of the best network, over seeds; None where it is on record for none of them."""
        return measure_spread([run.best.costs.get(measure) if run.best else None for run in self.runs])

    @property
    def accuracy(self) -> Spread | None:
        """Test accuracy of the best network, over seeds."""
        return measure_spread([run.accuracy for run in self.runs])

    @property
    def gain(self) -> Spread | None:
        """Test error of random networks minus that of found ones: the mean of each run, over seeds."""
        return measure_spread([run.gain for run in self.runs])

    @property
    def reference_gain(self) -> Spread | None:
        """Test error of the best reference network minus that of the best found one, over seeds."""
        return measure_spread([run.reference_gain for run in self.runs])

    @property
    def comparison(self) -> PairedComparison | None:
        """The pairs of all runs together."""
        pairs = [pair for run in self.runs if run.comparison for pair in run.comparison.pairs]
        return PairedComparison(tuple(pairs)) if pairs else None

    @property
    def seconds(self) -> Spread:
        """Seconds of all training, over seeds."""
        return Spread(tuple(run.seconds for run in self.runs))

    @property
    def search_seconds(self) -> Spread:
        """Seconds of teacher and search, over seeds."""
        return Spread(tuple(run.search_seconds for run in self.runs))

    @property
    def devices(self) -> tuple[str, ...]:
        """Where its runs computed; their seconds compare only where this is one device."""
        return tuple(sorted({device for run in self.runs for device in run.devices}))

    @property
    def repeated(self) -> tuple[int, ...]:
        """Seeds of several of its runs, which are not independent of each other."""
        return tuple(seed for seed, count in Counter(run.seed for run in self.runs).items() if count > 1)


@attrs.frozen
class MethodComparison:
    """Groups of runs side by side."""

    groups: tuple[Group, ...]
    """By data set, then in the order in which the runs were named."""
    unfinished: tuple[ComparedRun, ...]
    """Runs that were left out."""
    shared_searches: tuple[tuple[Group, tuple[ComparedRun, ...]], ...] = ()
    """Runs of a group that have one search in common, each time with the group."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures."""
        left_out = [
            f"{run.folder} is left out: its status is '{run.record.result.status}', and "
            f"'{command('resume', run.folder)}' continues it."
            for run in self.unfinished
        ]
        changed = [
            f"The recipe of {run.folder} was changed since the run was started; it may have run with other options."
            for group in self.groups
            for run in group.runs
            if run.record.recipe_was_changed
        ]
        repeated = [
            f"{group.title} on {group.dataset} has several runs with the seed {seed}; they are not independent."
            for group in self.groups
            for seed in group.repeated
        ]
        shared = [_note_shared_search(group, runs) for group, runs in self.shared_searches]
        mixed = [
            f"{group.title} on {group.dataset} ran on {' and '.join(group.devices)}; its seconds mix them."
            for group in self.groups
            if len(group.devices) > 1
        ]
        other_images = _note_other_images([run for group in self.groups for run in group.runs])
        return (*left_out, *changed, *repeated, *shared, *mixed, *other_images)


def read_comparison(folders: Sequence[Path]) -> MethodComparison:
    """Reads runs and groups them. InputError for a folder that is no run or is named twice, or if none is finished."""
    places = [os.path.realpath(folder) for folder in folders]  # unlike Path.resolve, it stops in a circle of links
    twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise InputError(f"The run {quote(twice)} is named twice; a run counts once.")
    runs = [read_run(folder) for folder in folders]
    finished = [run for run in runs if run.record.result.status == "done"]
    if not finished:
        raise InputError(f"None of these runs is finished; '{command('resume', folders[0])}' continues the first.")
    groups = _group_runs(finished)
    return MethodComparison(
        groups,
        unfinished=tuple(run for run in runs if run.record.result.status != "done"),
        shared_searches=tuple((group, tuple(runs)) for group in groups for runs in find_shared_searches(group.runs)),
    )


def measures_of(groups: Sequence[Group]) -> dict[str, Unit]:
    """The costs that the networks of some groups have on record, in the order of tables of a run, with their units."""
    results = [run.record.result for group in groups for run in group.runs]
    units = {name: unit for result in results for name, unit in result.units.items()}
    limited = [name for result in results for network in result.networks for name in network.budget]
    names = dict.fromkeys((*limited, *COUNTED, *(name for result in results for name in result.measures)))
    return {name: units[name] for name in names}


def _note_shared_search(group: Group, runs: Sequence[ComparedRun]) -> str:
    folders = [run.folder for run in runs]
    if len(runs) == len(group.runs):
        consequence = f"the 95 % interval of {group.title} on {group.dataset} is that of the retraining alone."
    else:
        consequence = (
            f"they differ by the retraining alone, and the 95 % interval of {group.title} on {group.dataset}, which "
            f"takes them for independent runs, is too narrow."
        )
    return f"{', '.join(folders[:-1])} and {folders[-1]} have the same search: {consequence}"


def _note_other_images(runs: Sequence[ComparedRun]) -> list[str]:
    """Which runs cannot be compared, because their images differ, or were divided otherwise for the same seed."""
    notes = []
    for dataset in dict.fromkeys(run.dataset for run in runs):
        known = [run for run in runs if run.dataset == dataset and run.digests]
        same_seed: dict[int, ComparedRun] = {}
        for run in known:
            first, twin = known[0], same_seed.setdefault(run.seed, run)
            if run.digests.get("data") != first.digests.get("data"):
                notes.append(
                    f"{run.folder} had other images of {dataset} than {first.folder}; they are in different rows, do "
                    f"not compare these."
                )
            # With another seed, other images are held out.
            elif differing := [name for name, digest in run.digests.items() if twin.digests.get(name) != digest]:
                notes.append(
                    f"{run.folder} and {twin.folder} have the same seed, but other images of {dataset} for "
                    f"{', '.join(differing)}; do not compare their errors."
                )
        unknown = [run.folder for run in runs if run.dataset == dataset and not run.digests]
        if known and unknown:
            notes.append(
                f"Whether {', '.join(unknown)} had the same images of {dataset} as the others is not recorded."
            )
    return notes


def _group_runs(runs: Sequence[ComparedRun]) -> tuple[Group, ...]:
    families: dict[tuple[str, ...], list[ComparedRun]] = {}
    for run in runs:
        families.setdefault((run.dataset, run.method, run.space, run.preset), []).append(run)
    varied = [name for name in ("space", "preset") if len({getattr(run, name) for run in runs}) > 1]
    groups = [group for family in families.values() for group in _split_variants(family, varied)]
    order = list(dict.fromkeys(group.dataset for group in groups))
    return tuple(sorted(groups, key=lambda group: order.index(group.dataset)))


def _split_variants(family: Sequence[ComparedRun], varied: Sequence[str]) -> list[Group]:
    """Splits runs that have other options; only those in which they differ are named."""
    title = [family[0].method, *(getattr(family[0], name) for name in varied)]
    names = {name: None for run in family for name in run.options}
    differing = [name for name in names if len({run.options.get(name, UNSET) for run in family}) > 1]
    members: dict[tuple[str, ...], list[ComparedRun]] = {}
    for run in family:
        variant = tuple(f"{name}={run.options.get(name, UNSET)}" for name in differing)
        members.setdefault(variant, []).append(run)
    return [
        Group(tuple(sorted(part, key=lambda run: run.seed)), named, ", ".join((*title, *named)))
        for variant, runs in members.items()
        for images, part in _split_images(runs)
        for named in [(*variant, *images)]
    ]


def _split_images(runs: Sequence[ComparedRun]) -> list[tuple[tuple[str, ...], list[ComparedRun]]]:
    """Splits runs that were not tested on the same images, and tells what identifies those of each part.

    Of one data set, each seed may hold out other images for the test, but one seed always the same.
    """
    parts: list[list[ComparedRun]] = []
    for run in runs:
        part = next((part for part in parts if all(_may_have_same_images(run, other) for other in part)), None)
        parts.append([run]) if part is None else part.append(run)
    varied = [name for name in ("data", "test") if len({part[0].digests.get(name, UNSET) for part in parts}) > 1]
    return [(tuple(f"{name} digest={part[0].digests.get(name, UNSET)}" for name in varied[:1]), part) for part in parts]


def _may_have_same_images(run: ComparedRun, other: ComparedRun) -> bool:
    if run.digests.get("data") != other.digests.get("data"):
        return False
    return run.seed != other.seed or run.digests.get("test") == other.digests.get("test")
