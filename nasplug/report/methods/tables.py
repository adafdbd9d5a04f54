"""The figures of a comparison as sentences and tables of text, for a page and for a terminal alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nasplug.report.methods.groups import Group, measures_of
from nasplug.report.methods.runs import ComparedRun
from nasplug.report.number_format import format_count
from nasplug.report.spread import Spread, describe_chance
from nasplug.values import Unit

NONE = "-"
RANDOM_GAIN, REFERENCE_GAIN = "random - found, points", "reference - found, points"
INTERVAL, SECONDS = "95 % interval", ("search, s", "all training, s")

LEGEND = (
    "costs such as params, and test accuracy: of the best network, which is the found one with the lowest validation "
    "error; mean ± standard deviation over runs, one per seed.",
    "random - found: test error of a random network minus that of the found one of its size, in percentage points "
    "(positive: the found one is better); mean over runs, ± standard error over all pairs of a row.",
    "95 % interval: of that mean, over runs (Student's t), which takes the pairs of one run for one measurement.",
    "search: seconds of teacher and search; all training: with all other networks; ± standard deviation.",
)
REFERENCE_LEGEND = (
    "reference: the best reference network and its params.",
    "reference - found: test error of the best reference network minus that of the best network, in percentage points "
    "(positive: the found one is better); each is the best of its kind by validation error; mean ± standard error over "
    "runs, and the 95 % interval of that mean (Student's t).",
)


class TextTable(NamedTuple):
    """A table of text."""

    columns: list[str]
    rows: list[list[str]]
    numbers: int
    """How many of the last columns hold figures."""


def group_table(groups: Sequence[Group]) -> TextTable:
    """A row for each group."""
    varied = any(group.variant for group in groups)
    references = has_references(groups)
    measures = measures_of(groups)
    numbers = ["runs", "pairs", *measures, "test accuracy", RANDOM_GAIN, INTERVAL]
    numbers += [*([REFERENCE_GAIN, INTERVAL] if references else []), *SECONDS]
    columns = ["data", "method", "space", "preset", *(["options"] if varied else []), *numbers]
    names = [[group.dataset, group.method, group.space, group.preset] for group in groups]
    options = [[", ".join(group.variant)] if varied else [] for group in groups]
    figures = [_figures(group, measures, references) for group in groups]
    rows = [[*name, *option, *figure] for name, option, figure in zip(names, options, figures, strict=True)]
    return TextTable(columns, rows, len(numbers))


def run_table(groups: Sequence[Group]) -> TextTable:
    """A row for each run."""
    references = has_references(groups)
    measures = measures_of(groups)
    rows = [_run(group, run, measures, references) for group in groups for run in group.runs]
    numbers = ["seed", "pairs", *measures, "test accuracy", RANDOM_GAIN]
    numbers += [*([REFERENCE_GAIN] if references else []), *SECONDS]
    return TextTable(["run", "of", "best", *(["reference"] if references else []), *numbers], rows, len(numbers))


def legend(groups: Sequence[Group]) -> tuple[str, ...]:
    """What the columns mean, a line for each."""
    return (*LEGEND, *(REFERENCE_LEGEND if has_references(groups) else ()))


def has_references(groups: Sequence[Group]) -> bool:
    """Whether a run has compared its best network with a reference network."""
    return any(group.reference_gain is not None for group in groups)


def describe_gains(group: Group) -> list[str]:
    """Whether the search found better networks than chance and than a design by hand, a sentence for each."""
    sentences = [describe_gain(group)]
    if group.reference_gain is not None:
        what = "the best found network is {} than the best reference network"
        sentences.append(_describe(group, group.reference_gain, what))
    return sentences


def describe_gain(group: Group) -> str:
    """Whether the search found better networks than chance, and how sure that is, in one sentence."""
    if group.gain is None:
        return f"{group.title}: no found network was tested beside a random one of its size."
    return _describe(group, group.gain, "found networks are {} than random ones of equal size")


def _describe(group: Group, gain: Spread, what: str) -> str:
    """`what` with the side of a gain in place of {}, by how much, and how sure that is."""
    side = "better" if gain.mean > 0 else "worse" if gain.mean < 0 else "neither better nor worse"
    sentence = f"{group.title}: {what.format(side)}"
    sentence += f" by {_points(abs(gain.mean)).lstrip('+')} points of test error" if gain.mean else ""
    if gain.interval is None:
        return f"{sentence}, by a single run, which does not tell how much of it is chance."
    chance = describe_chance(gain.interval)
    return f"{sentence} (95 % interval over {len(gain.values)} runs: {_interval(gain)}; {chance})."


def _figures(group: Group, measures: Mapping[str, Unit], references: bool) -> list[str]:
    comparison = group.comparison
    error = comparison.standard_error if comparison else None
    beside = group.reference_gain
    return [
        str(len(group.runs)),
        str(len(comparison.pairs) if comparison else 0),
        *(_spread(group.cost(name), unit.format) for name, unit in measures.items()),
        _spread(group.accuracy, _percent),
        *(_mean_gain(group.gain, error), _interval(group.gain)),
        *([_mean_gain(beside, beside.standard_error if beside else None), _interval(beside)] if references else []),
        _spread(group.search_seconds, _seconds),
        _spread(group.seconds, _seconds),
    ]


def _run(group: Group, run: ComparedRun, measures: Mapping[str, Unit], references: bool) -> list[str]:
    pairs, beside = run.comparison, run.reference_comparison
    costs = run.best.costs if run.best else {}
    name = NONE if beside is None else f"{beside.reference.reference} ({format_count(beside.reference.params)})"
    return [
        run.folder,
        group.title,
        run.best.id if run.best else NONE,
        *([name] if references else []),
        str(run.seed),
        str(len(pairs.pairs) if pairs else 0),
        *(unit.format(costs[name]) if name in costs else NONE for name, unit in measures.items()),
        NONE if run.accuracy is None else _percent(run.accuracy),
        NONE if run.gain is None else _points(run.gain),
        *([NONE if run.reference_gain is None else _points(run.reference_gain)] if references else []),
        _seconds(run.search_seconds),
        _seconds(run.seconds),
    ]


def _mean_gain(gain: Spread | None, standard_error: float | None) -> str:
    if gain is None:
        return NONE
    return _points(gain.mean) + ("" if standard_error is None else f" ± {100 * standard_error:.2f}")


def _interval(gain: Spread | None) -> str:
    """The confidence interval of a gain, in points."""
    if gain is None or gain.interval is None:
        return NONE
    low, high = gain.interval
    return f"{_points(low)} to {_points(high)}"


def _points(gain: float) -> str:
    """A difference of errors in percentage points, with its sign."""
    return f"{100 * gain:+.2f}"


def _spread(values: Spread | None, write: Callable[[float], str]) -> str:
    if values is None:
        return NONE
    return write(values.mean) + ("" if values.deviation is None else f" ± {write(values.deviation)}")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f}"
