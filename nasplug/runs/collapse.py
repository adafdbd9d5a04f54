"""Watches a search for the signs of a collapse, in the figures of its steps; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from nasplug.engine.alpha_figures import ENTROPY, EXPECTED, SHARE, AlphaFigures
from nasplug.engine.parameterless import ParameterlessOperations
from nasplug.engine.succession import Measure
from nasplug.parts import Supernet
from nasplug.runs.collapse_text import describe_growth, describe_indecision, describe_parameterless
from nasplug.runs.context import RunContext
from nasplug.store.events import read_events, require_entries
from nasplug.values import SearchWarning, StepInfo
from nasplug.values.recipe import Recipe

EIGENVALUE = "alpha_eigenvalue"
MOST_PARAMETERLESS = 0.6
"""The largest share of operations without parameters that raises no warning, unless random picks have about as many.

Of the eight operations in a cell of DARTS these are four. DARTS+ (Liang et al., arXiv 1909.06035) already stops a
search at two skip connections in a normal cell; pools count here, too.
"""
MARGIN = 0.2
"""How much more than random picks it may be in any case: in the cells of NAS-Bench-201, random picks have 0.6."""
PERSISTENCE = 3
"""Epochs in a row after which a share counts before the end of a search: while alpha is nearly uniform, its picks are
little more than random and change from epoch to epoch."""
LEAST_RATIO = 0.75
"""The least ratio of the mean eigenvalue of WINDOW epochs to that of the next, from Zela et al. (ICLR 2020, section
4), who stop a search that falls below it."""
WINDOW = 5
"""Epochs over which they average."""
MOST_ENTROPY = 0.99
"""The largest entropy of candidate weights at the end of a search that has decided. For eight candidates it is that of
a softmax of alpha whose standard deviation is 0.2. Searches of DARTS by the preset `laptop` end at about 0.98."""


def watch_alpha(context: RunContext, net: Supernet) -> Measure | None:
    """What measures alpha at the end of every epoch; None where alpha says nothing about the whole network.

    That is so for optimizers that do not learn it, and where blocks are trained apart from each other. Epochs in which
    alpha rests have no figures.
    """
    composition = context.composition
    if not composition.optimizer.learns_alpha or composition.teacher.blockwise or not len(net.choices):
        return None
    figures = AlphaFigures(net, composition.space, ParameterlessOperations(composition.space, context.shape))

    def measure(now: StepInfo) -> Mapping[str, float]:
        return figures(now) if any(update.moves_alpha for update in composition.optimizer.updates(now)) else {}

    return measure


@attrs.define
class CollapseGuard:
    """Reads the figures of every step of a search, and warns once of each sign of a collapse.

    Its state is a function of the steps that it has read, so that the journal of a run is all that it needs to go on.
    """

    recipe: Recipe
    alpha_decides: bool
    """Whether what is decoded of alpha is what the search leaves; else that it is undecided means nothing."""
    _warned: set[str] = attrs.field(factory=set, init=False)
    _above: list[int] = attrs.field(factory=list, init=False)
    """The epochs, counted from 1, of the latest figures in a row that were too large a share."""
    _eigenvalues: dict[int, float] = attrs.field(factory=dict, init=False)
    """By epoch, counted from 1, their magnitudes."""
    _stage: int | None = attrs.field(default=None, init=False)
    """The stage of the latest step; the figures of another one, perhaps of another supernet, are not compared."""
    _before: int = attrs.field(default=0, init=False)
    """The epochs before that stage."""

    def read(self, record: Mapping[str, Any], *, last: bool = False) -> list[SearchWarning]:
        """The warnings that the event of a step gives rise to; `last` is true for the last step of the search."""
        if record.get("stage") != self._stage:
            self._stage, self._before, self._above, self._eigenvalues = record.get("stage"), record["epoch"], [], {}
        warnings = []
        signs: Mapping[str, Callable[[Mapping[str, Any], bool], tuple[float, float, str] | None]] = {
            "parameterless": self._read_share,
            "eigenvalue": self._read_eigenvalue,
            "undecided": self._read_entropy,
        }
        for sign, read in signs.items():
            if sign not in self._warned and (seen := read(record, last)) is not None:
                self._warned.add(sign)
                value, limit, text = seen
                warnings.append(SearchWarning(sign, record["step"], record["epoch"], value, limit, text))
        return warnings

    def _read_share(self, record: Mapping[str, Any], last: bool) -> tuple[float, float, str] | None:
        share, expected = record.get(SHARE), record.get(EXPECTED)
        if share is None or expected is None:
            return None
        epoch = record["epoch"] + 1
        most = max(MOST_PARAMETERLESS, expected + MARGIN)
        self._above = [*self._above, epoch] if share > most else []
        if not self._above or (len(self._above) < PERSISTENCE and not last):
            return None
        return share, most, describe_parameterless(self.recipe, share, expected, self._above[0], epoch)

    def _read_eigenvalue(self, record: Mapping[str, Any], _: bool) -> tuple[float, float, str] | None:
        if (eigenvalue := record.get(EIGENVALUE)) is None:
            return None
        epoch = record["epoch"] + 1
        self._eigenvalues[epoch] = abs(eigenvalue)
        before, after = self._mean_eigenvalue(epoch - WINDOW), self._mean_eigenvalue(epoch)
        if before is None or after is None or before >= LEAST_RATIO * after:
            return None
        return before / after, LEAST_RATIO, describe_growth(self.recipe, before, after, epoch, WINDOW)

    def _mean_eigenvalue(self, epoch: int) -> float | None:
        """The mean over the WINDOW epochs of this stage that end with `epoch`; None if it has fewer, or no figures."""
        inside = [value for each, value in self._eigenvalues.items() if epoch - WINDOW < each <= epoch]
        return sum(inside) / len(inside) if inside and epoch - self._before >= WINDOW else None

    def _read_entropy(self, record: Mapping[str, Any], last: bool) -> tuple[float, float, str] | None:
        entropy = record.get(ENTROPY)
        if entropy is None or not last or entropy <= MOST_ENTROPY or not self.alpha_decides:
            return None
        return entropy, MOST_ENTROPY, describe_indecision(self.recipe, entropy, record["epoch"] + 1)


def read_warnings(context: RunContext) -> list[str]:
    """What a search has been warned of, in sentences, in the order of the journal."""
    texts = []
    for event in read_events(context.folder.events):
        if event["event"] == "warning" and event["phase"] == "search":
            require_entries(event, ("text",), context.folder.events)
            texts.append(event["text"])
    return texts
