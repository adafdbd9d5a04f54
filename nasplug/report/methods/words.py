"""The figures of a comparison as text, for a page and for a terminal alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nasplug.report.methods.groups import Group
from nasplug.report.methods.runs import Run
from nasplug.report.methods.spread import Spread
from nasplug.report.number_format import count

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
    """Heads and a row for each group; the last GROUP_NUMBERS are figures."""
    varied = any(group.variant for group in groups)
    heads = ["data", "method", "space", "preset", *(["options"] if varied else []), *GROUP_NUMBERS]
    names = [[group.dataset, group.method, group.space, group.preset] for group in groups]
    options = [[", ".join(group.variant)] if varied else [] for group in groups]
    rows = [[*name, *option, *_figures(group)] for name, option, group in zip(names, options, groups, strict=True)]
    return heads, rows


def run_table(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Heads and a row for each run; the last RUN_NUMBERS are figures."""
    rows = [_run(group, run) for group in groups for run in group.runs]
    return ["run", "of", "best", *RUN_NUMBERS], rows


def _figures(group: Group) -> list[str]:
    comparison = group.comparison
    return [
        str(len(group.runs)),
        str(len(comparison.pairs) if comparison else 0),
        _spread(group.params, lambda value: count(round(value))),
        _spread(group.accuracy, _percent),
        _gain(group),
        interval(group.gain),
        _spread(group.search_seconds, _seconds),
        _spread(group.seconds, _seconds),
    ]


def _run(group: Group, run: Run) -> list[str]:
    comparison = run.comparison
    return [
        run.folder,
        group.title,
        run.best.id if run.best else NONE,
        str(run.seed),
        str(len(comparison.pairs) if comparison else 0),
        count(run.best.params) if run.best else NONE,
        NONE if run.accuracy is None else _percent(run.accuracy),
        NONE if run.gain is None else points(run.gain),
        _seconds(run.search_seconds),
        _seconds(run.seconds),
    ]


def _gain(group: Group) -> str:
    if group.gain is None or group.comparison is None:
        return NONE
    error = group.comparison.standard_error
    return points(group.gain.mean) + ("" if error is None else f" ± {100 * error:.2f}")


def interval(gain: Spread | None) -> str:
    """The confidence interval of a gain, in points."""
    if gain is None or gain.interval is None:
        return NONE
    low, high = gain.interval
    return f"{points(low)} to {points(high)}"


def points(gain: float) -> str:
    """A difference of errors in percentage points, with its sign."""
    return f"{100 * gain:+.2f}"


def _spread(values: Spread | None, written: Callable[[float], str]) -> str:
    if values is None:
        return NONE
    return written(values.mean) + ("" if values.deviation is None else f" ± {written(values.deviation)}")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f}"
