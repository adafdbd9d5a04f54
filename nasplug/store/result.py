"""`result.json`, what a run has come to: the one reader.

It imports neither torch nor matplotlib, so that reports and `nasplug show` need no torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from nasplug.errors import InputError, command, quote, reason
from nasplug.formats.fields import OBJECT, TEXT, Kind, check_fields, list_of, object_of
from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, read_file
from nasplug.store.best import best_network
from nasplug.store.costs import cost_units
from nasplug.store.entries import DamagedError, require, whole, word
from nasplug.store.exports import ExportResult
from nasplug.store.lock import is_under_way
from nasplug.store.network_result import NetworkResult, PhaseCost
from nasplug.store.tournament import BracketResult
from nasplug.values import Figure, Unit
from nasplug.values.checksum import is_intact
from nasplug.values.cost import COUNTED
from nasplug.values.shape import INPUT_WORDS

if TYPE_CHECKING:
    from nasplug.store.run_folder import RunFolder

SCHEMA = 1
RESULT = "result.json"
ENTRIES = ("method", "dataset", "seed", "status", "networks", "front", "best")
"""What the result of a run has from its first moment."""
FIELDS: Mapping[str, Kind] = {
    "status": TEXT,
    "method": TEXT,
    "space": TEXT,
    "dataset": TEXT,
    "data": OBJECT,
    "cost": object_of(OBJECT),
    "units": object_of(OBJECT),
    "figures": list_of(OBJECT).or_null(),
    "selector": OBJECT,
    "ratings": list_of(OBJECT),
    "tournament": list_of(OBJECT),
    "exports": list_of(OBJECT),
    "distillation": OBJECT.or_null(),
    "leaks": list_of(TEXT),
    "notes": list_of(TEXT),
    "networks": Kind("a list of objects", list_of(OBJECT).holds),
    "front": Kind("a list of ids", list_of(TEXT).holds),
    "best": TEXT.or_null(),
}
"""What entries of the result of a run must be; those of networks are checked one by one."""
FIGURE_FIELDS: Mapping[str, Kind] = {"name": TEXT, "label": TEXT, "unit": TEXT, "progress": TEXT.or_null()}
"""What the entries of a declared figure must be; its scale is checked by `Figure`."""
NETWORK_ENTRIES = ("id", "role", "matched_to", "params", "macs", "val_error", "test_error")
"""What every network has; an error is null until it has been measured."""


@attrs.frozen
class RunResult:
    """A checked `result.json`."""

    status: str
    """One of "running", "stopped", "failed" and "done"; a run whose process was killed counts as stopped."""
    method: str
    dataset: str
    seed: int | None
    networks: tuple[NetworkResult, ...]
    front: tuple[str, ...]
    """Ids of the networks on the Pareto front, as `pareto_front` has chosen them."""
    best: str | None
    """Id of the best network that the run names; where it names none, the choice of `best_network`."""
    notes: tuple[str, ...]
    leaks: tuple[str, ...]
    """Those of the notes that warn of test images which are trained on."""
    data: Mapping[str, Any]
    """Preprocessing and class names."""
    splits: Mapping[str, int]
    """Number of images in each split."""
    folds: int
    """Of the cross-validation that validation errors come from; 0: they are errors on the validation split."""
    selected_by: str
    """The validation error that decides which network is the best: "error" or "balanced", the mean over classes."""
    cost: Mapping[str, PhaseCost]
    """By phase."""
    units: Mapping[str, Unit]
    """By cost measure that networks have on record, its unit."""
    figures: tuple[Figure, ...] | None
    """What the schedule declares about its measures; None: written by a version that did not record it."""
    tournament: tuple[BracketResult, ...]
    """Empty: networks were selected by their sizes."""
    exports: tuple[ExportResult, ...]
    """Files that were exported, the last one last."""
    entries: Mapping[str, Any] = attrs.field(eq=False, repr=False)
    """The whole file."""

    @property
    def input_word(self) -> str:
        """What an input of its networks is called: image or signal."""
        return INPUT_WORDS[1 if self.data.get("dims") == 1 else 2]

    @property
    def has_classes(self) -> bool:
        """Whether its networks put images into classes, rather than answer several labels or numbers."""
        return "task" not in self.data

    @property
    def score(self) -> str:
        """What the scores of found networks are called; empty if they have none."""
        name = self.entries.get("selector", {}).get("score", "")
        return name if any(network.score is not None for network in self.networks) else ""

    @property
    def measures(self) -> tuple[str, ...]:
        """The costs on record, as tables show them: those of the budget, params and MACs, then all others."""
        limited = dict.fromkeys(name for network in self.networks for name in network.budget)
        known = {name for network in self.networks for name in network.costs}
        return tuple(name for name in dict.fromkeys((*limited, *COUNTED, *self.units)) if name in {*known, *COUNTED})

    def network(self, name: str | None) -> NetworkResult | None:
        """The network with this id, if there is one."""
        return next((network for network in self.networks if network.id == name), None)

    def matched(self, found: NetworkResult) -> tuple[NetworkResult, ...]:
        """The random networks of the size of `found`."""
        return tuple(
            network for network in self.networks if network.role == "random" and network.matched_to == found.id
        )


def read_result(
    folder: Path, entries: Collection[str] = ENTRIES, network_entries: Collection[str] = NETWORK_ENTRIES
) -> RunResult:
    """Reads `result.json` of a run folder, which must have `entries`, and `network_entries` for each network.

    Raises InputError, in one sentence that says what to do, if it is missing, damaged or of another schema.
    """
    path = folder / RESULT
    try:
        content = parse_object(decode(read_file(path, "result")))
    except InputError as error:
        raise InputError(f"{quote(path)} cannot be read ({str(error).rstrip('.')}); {_remedy(folder)}.") from error
    if "schema" in content and content["schema"] != SCHEMA:
        raise InputError(
            f"'{path}' has schema {quote(content['schema'])}; this version of nasplug reads schema {SCHEMA}."
        )
    try:
        result = _parse(content, entries, network_entries)
        if not is_intact(content):
            raise DamagedError("is damaged: its content does not match its checksum")
        if content.get("status") == "running" and not is_under_way(folder):
            result = attrs.evolve(result, status="stopped", entries=content | {"status": "stopped"})
        return result
    except DamagedError as error:
        raise InputError(f"'{path}' {error}; {_remedy(folder)}.") from error
    except (AttributeError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' is damaged: an entry has the wrong form ({reason(error)}); {_remedy(folder)}."
        ) from error


def set_status(folder: RunFolder, status: str) -> None:
    """Changes the status of a run that has a result already."""
    if (folder.path / RESULT).is_file():
        folder.write_result(folder.result() | {"status": status})


def set_note(folder: RunFolder, beginning: str, note: str | None) -> None:
    """Replaces the notes of a result that begin with `beginning` by `note`, if there is one."""
    if not (folder.path / RESULT).is_file():
        return
    result = folder.result()
    before = result.get("notes", [])
    after = [text for text in before if not str(text).startswith(beginning)] + ([] if note is None else [note])
    if after != before:
        folder.write_result(result | {"notes": after})


def _parse(content: Mapping[str, Any], entries: Collection[str], network_entries: Collection[str]) -> RunResult:
    require(content, ("schema", *entries))
    try:
        check_fields(content, {}, FIELDS)
        for figure in content.get("figures") or ():
            check_fields(figure, {}, FIGURE_FIELDS)
        units = cost_units(content)
        tournament = tuple(map(BracketResult.from_entry, content.get("tournament", ())))
        exports = tuple(map(ExportResult.from_entry, content.get("exports", ())))
    except FormatError as error:
        raise DamagedError(f"is damaged: {error}") from error
    rows, front = content.get("networks", []), content.get("front", [])
    for row in rows:
        require(row, network_entries)
    bound = largest_error(content.get("data", {}))
    networks = tuple(NetworkResult.from_entry(row, bound) for row in rows)
    best = content.get("best")
    ids = {network.id for network in networks}
    if len(ids) < len(networks):
        raise DamagedError("is damaged: two of its networks have the same id")
    if unknown := {*front, *([] if best is None else [best])} - ids:
        raise DamagedError(f"is damaged: there is no network {quote(min(unknown))}")
    chosen, figures = best_network(networks), content.get("figures")
    return RunResult(
        status=content["status"],
        method=content["method"],
        dataset=content["dataset"],
        seed=whole(content, "seed") if content.get("seed") is not None else None,
        networks=networks,
        front=tuple(front),
        best=best if best is not None or chosen is None else chosen.id,
        notes=tuple(content.get("notes", [])),
        leaks=tuple(content.get("leaks", [])),
        data=content.get("data", {}),
        splits={name: whole(content["splits"], name) for name in content.get("splits", {})},
        folds=whole(content, "folds") if "folds" in content else 0,
        selected_by=word(content, "selected_by") if "selected_by" in content else "error",
        cost={phase: PhaseCost.from_entry(row) for phase, row in content.get("cost", {}).items()},
        units=units,
        figures=None if figures is None else tuple(Figure(**figure) for figure in figures),
        tournament=tournament,
        exports=exports,
        entries=content,
    )


def _remedy(folder: Path) -> str:
    return f"'{command('resume', folder)}' writes it again"


def largest_error(data: Mapping[str, Any]) -> float:
    """The largest error that there can be with these entries of "data": 1 with classes, any with another task."""
    return math.inf if "task" in data else 1.0
