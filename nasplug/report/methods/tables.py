"""The figures of a comparison as sentences and tables of text, for a page and for a terminal alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nasplug.report.methods.groups import Group
from nasplug.report.methods.runs import ComparedRun
from nasplug.report.methods.spread import Spread
from nasplug.report.number_format import format_count

NONE = "-"
COMMON = ("random - found, points", "search, s", "all training, s")
GROUP_NUMBERS = ("runs", "pairs", "params", "test accuracy", COMMON[0], "95 % interval", *COMMON[1:])
RUN_NUMBERS = ("seed", "pairs", "params", "test accuracy", *COMMON)

LEGEND = (
    "params, test accuracy: of the best network, which is the found one with the lowest validation error; mean ± "
    "standard deviation over runs, one per seed.",
    "random - found: test error of a random network minus that of the found one of its size, in percentage points "
    "(positive: the found one is better); mean over runs, ± standard error over all pairs of a row.",
    "95 % interval: of that mean, over runs (Student's t), which takes the pairs of one run for one measurement.",
    "search: seconds of teacher and search; all training: with retraining and random networks; ± standard deviation.",
)


def group_table(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Column names and a row for each group; the last GROUP_NUMBERS are figures."""
    varied = any(group.variant for group in groups)
    columns = ["data", "method", "space", "preset", *(["options"] if varied else []), *GROUP_NUMBERS]
    names = [[group.dataset, group.method, group.space, group.preset] for group in groups]
    options = [[", ".join(group.variant)] if varied else [] for group in groups]
    rows = [[*name, *option, *_figures(group)] for name, option, group in zip(names, options, groups, strict=True)]
    return columns, rows


def run_table(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Column names and a row for each run; the last RUN_NUMBERS are figures."""
    rows = [_run(group, run) for group in groups for run in group.runs]
    return ["run", "of", "best", *RUN_NUMBERS], rows


def describe_gain(group: Group) -> str:
    """Whether the search found better networks than chance, and how sure that is, in one sentence."""
    gain = group.gain
    if gain is None:
        return f"{group.title}: no found network was tested beside a random one of its size."
    side = "better" if gain.mean > 0 else "worse" if gain.mean < 0 else "neither better nor worse"
    sentence = f"{group.title}: found networks are {side} than random ones of equal size"
    sentence += f" by {_points(abs(gain.mean)).lstrip('+')} points of test error" if gain.mean else ""
    if gain.interval is None:
        return f"{sentence}, by a single run, which does not tell how much of it is chance."
    low, high = gain.interval
    chance = "that includes zero, so it may be chance" if low <= 0 <= high else "that excludes zero"
    return f"{sentence} (95 % interval over {len(gain.values)} runs: {_interval(gain)}; {chance})."


def _figures(group: Group) -> list[str]:
    comparison = group.comparison
    return [
        str(len(group.runs)),
        str(len(comparison.pairs) if comparison else 0),
        _spread(group.params, lambda value: format_count(round(value))),
        _spread(group.accuracy, _percent),
        _mean_gain(group),
        _interval(group.gain),
        _spread(group.search_seconds, _seconds),
        _spread(group.seconds, _seconds),
    ]


def _run(group: Group, run: ComparedRun) -> list[str]:
    comparison = run.comparison
    return [
        run.folder,
        group.title,
        run.best.id if run.best else NONE,
        str(run.seed),
        str(len(comparison.pairs) if comparison else 0),
        format_count(run.best.params) if run.best else NONE,
        NONE if run.accuracy is None else _percent(run.accuracy),
        NONE if run.gain is None else _points(run.gain),
        _seconds(run.search_seconds),
        _seconds(run.seconds),
    ]


def _mean_gain(group: Group) -> str:
    if group.gain is None or group.comparison is None:
        return NONE
    error = group.comparison.standard_error
    return _points(group.gain.mean) + ("" if error is None else f" ± {100 * error:.2f}")


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
