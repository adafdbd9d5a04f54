"""`result.json`, what a run has come to: the one reader, and the rules for the front and the best network.

It imports neither torch nor matplotlib, so that reports and `nasplug show` need no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from nasplug.errors import InputError, command, quote, reason
from nasplug.formats.fields import OBJECT, TEXT, WHOLE, Kind, check_fields, list_of, object_of
from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, read_file
from nasplug.store.costs import cost_units
from nasplug.store.exports import ExportResult
from nasplug.store.lock import is_under_way
from nasplug.store.tournament import BracketResult
from nasplug.values import Budget, Costs, Figure, Unit, is_within
from nasplug.values.checksum import is_intact
from nasplug.values.cost import COUNTED

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
IDENTIFIER = re.compile("[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
"""The form of the ids of networks, which are parts of file names."""


@attrs.frozen
class NetworkResult:
    """One network of a run; a figure is None until it has been measured."""

    id: str
    role: str
    """One of "found", by the search; "random": sampled, for comparison with the found one of its size; and "reference":
    designed by hand, for comparison at equal cost."""
    matched_to: str | None
    """Id of the found network whose size a random one has, or whose cost a reference network has."""
    costs: Costs
    """By cost measure, what was counted or measured; params and MACs at least."""
    estimates: Mapping[str, float]
    """By cost measure, what a measured cost was estimated to be."""
    budget: Budget
    """What it was selected to keep; empty: no limits."""
    score: float | None
    """How good the selector of the search took it to be, the lower the better; None: it gave no score."""
    val_error: float | None
    test_error: float | None
    train_loss: float | None
    balanced_val_error: float | None
    """The mean of the validation errors by class."""
    val_standard_error: float | None
    """Of the validation error, where it is that of a cross-validation."""
    selection_error: float | None
    """The validation error that decides which network is the best: `val_error`, unless the run says otherwise."""
    balanced_test_error: float | None
    confusion: tuple[tuple[int, int, int], ...]
    """Class, answer and number of test images, for each pair that occurs; empty: not recorded."""
    source: str
    """Either "trained", or "table": looked up instead of trained."""
    reference: str | None
    """The name of a reference network; None for others."""
    entry: Mapping[str, Any] = attrs.field(eq=False, repr=False)
    """Its entry in `result.json`, whole."""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], bound: float = 1.0) -> NetworkResult:
        """A network from its entry.

        InputError if an id could be no part of a file name, a path leaves the run folder, params, macs or a count is no
        whole number from 0 on, or an error is no number from 0 to `bound`.
        """
        for name in ("genotype", "weights"):
            _inner_path(entry, name)
        return cls(
            id=_identifier(entry, "id"),
            role=_word(entry, "role"),
            matched_to=None if entry.get("matched_to") is None else _identifier(entry, "matched_to"),
            costs=Costs(_amounts(entry, "costs"), params=_whole(entry, "params"), macs=_whole(entry, "macs")),
            estimates=_amounts(entry, "estimates"),
            budget=_amounts(entry, "budget"),
            score=_number(entry, "score"),
            val_error=_number(entry, "val_error", 0, bound),
            test_error=_number(entry, "test_error", 0, bound),
            train_loss=_number(entry, "train_loss"),
            balanced_val_error=_number(entry, "balanced_val_error", 0, bound),
            val_standard_error=_number(entry, "val_standard_error", 0),
            selection_error=_number(entry, "selection_error" if "selection_error" in entry else "val_error", 0, bound),
            balanced_test_error=_number(entry, "balanced_test_error", 0, bound),
            confusion=_confusion(entry),
            source=_word(entry, "source") if "source" in entry else "trained",
            reference=None if entry.get("reference") is None else _word(entry, "reference"),
            entry=entry,
        )

    @property
    def params(self) -> int:
        """Its number of parameters."""
        return self.costs.params

    @property
    def macs(self) -> int:
        """Its multiply-accumulates for one image."""
        return self.costs.macs

    @property
    def kind(self) -> str:
        """What it is, for tables: its role, and which reference network it is."""
        return self.role if self.reference is None else f"{self.role} {self.reference}"

    @property
    def found(self) -> bool:
        """Whether the search found it, as opposed to the networks that it is compared with."""
        return self.role == "found"


@attrs.frozen
class PhaseCost:
    """What one phase took; None where it was not recorded."""

    seconds: float | None
    peak_memory: int | None
    """Bytes."""
    device: str

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> PhaseCost:
        """A cost from its entry; InputError if a figure is no number."""
        peak = _number(entry, "peak_memory_bytes", 0)
        return cls(
            seconds=_number(entry, "seconds", 0),
            peak_memory=None if peak is None else int(peak),
            device=str(entry.get("device") or ""),
        )


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
            raise _DamagedError("is damaged: its content does not match its checksum")
        if content.get("status") == "running" and not is_under_way(folder):
            result = attrs.evolve(result, status="stopped", entries=content | {"status": "stopped"})
        return result
    except _DamagedError as error:
        raise InputError(f"'{path}' {error}; {_remedy(folder)}.") from error
    except (AttributeError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' is damaged: an entry has the wrong form ({reason(error)}); {_remedy(folder)}."
        ) from error


def pareto_front(networks: Sequence[NetworkResult]) -> tuple[str, ...]:
    """Ids of the found networks that no other found one beats in both error and params, from small to large.

    The error is the one of `best_network`, never the test error.
    """
    ids: list[str] = []
    lowest = math.inf
    for network, error in sorted(_candidates(networks), key=lambda rated: (rated[0].params, rated[1])):
        if error < lowest:
            lowest = error
            ids.append(network.id)
    return tuple(ids)


def best_network(networks: Sequence[NetworkResult], budget: Budget = MappingProxyType({})) -> NetworkResult | None:
    """The found network with the lowest validation error within the budget, ties to fewer params; None if none fits.

    It is the validation error that the run selects by (`NetworkResult.selection_error`). A run that holds out no
    validation images has only the last training loss to choose by.
    """
    return _choose((network, error) for network, error in _candidates(networks) if is_within(network.costs, budget))


def best_reference(networks: Sequence[NetworkResult], beside: NetworkResult) -> NetworkResult | None:
    """The best reference network that is to be compared with `beside`: of the same budget, if it was selected for one.

    It is chosen as the best found network is, by `best_network`. None if there is none.
    """
    return _choose(
        (network, error)
        for network, error in _candidates(networks, "reference")
        if network.matched_to in (None, beside.id) and network.budget == beside.budget
    )


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


def _choose(rated: Iterable[tuple[NetworkResult, float]]) -> NetworkResult | None:
    """The network with the lowest error, ties to fewer params, then to the first."""
    keys = [(error, network.params, place, network) for place, (network, error) in enumerate(rated)]
    return min(keys)[-1] if keys else None


def _candidates(networks: Sequence[NetworkResult], role: str = "found") -> list[tuple[NetworkResult, float]]:
    """The networks of a role that can be chosen, with the figure that they are chosen by."""
    validated = any(network.selection_error is not None for network in networks)
    errors = [(network, network.selection_error if validated else network.train_loss) for network in networks]
    return [(network, error) for network, error in errors if network.role == role and error is not None]


class _DamagedError(InputError):
    """What is wrong with a result, as the end of a sentence about its file."""


def _parse(content: Mapping[str, Any], entries: Collection[str], network_entries: Collection[str]) -> RunResult:
    _require(content, ("schema", *entries))
    try:
        check_fields(content, {}, FIELDS)
        for figure in content.get("figures") or ():
            check_fields(figure, {}, FIGURE_FIELDS)
        units = cost_units(content)
        tournament = tuple(map(BracketResult.from_entry, content.get("tournament", ())))
        exports = tuple(map(ExportResult.from_entry, content.get("exports", ())))
    except FormatError as error:
        raise _DamagedError(f"is damaged: {error}") from error
    rows, front = content.get("networks", []), content.get("front", [])
    for row in rows:
        _require(row, network_entries)
    bound = largest_error(content.get("data", {}))
    networks = tuple(NetworkResult.from_entry(row, bound) for row in rows)
    best = content.get("best")
    ids = {network.id for network in networks}
    if len(ids) < len(networks):
        raise _DamagedError("is damaged: two of its networks have the same id")
    if unknown := {*front, *([] if best is None else [best])} - ids:
        raise _DamagedError(f"is damaged: there is no network {quote(min(unknown))}")
    chosen, figures = best_network(networks), content.get("figures")
    return RunResult(
        status=content["status"],
        method=content["method"],
        dataset=content["dataset"],
        seed=_whole(content, "seed") if content.get("seed") is not None else None,
        networks=networks,
        front=tuple(front),
        best=best if best is not None or chosen is None else chosen.id,
        notes=tuple(content.get("notes", [])),
        leaks=tuple(content.get("leaks", [])),
        data=content.get("data", {}),
        splits={name: _whole(content["splits"], name) for name in content.get("splits", {})},
        folds=_whole(content, "folds") if "folds" in content else 0,
        selected_by=_word(content, "selected_by") if "selected_by" in content else "error",
        cost={phase: PhaseCost.from_entry(row) for phase, row in content.get("cost", {}).items()},
        units=units,
        figures=None if figures is None else tuple(Figure(**figure) for figure in figures),
        tournament=tournament,
        exports=exports,
        entries=content,
    )


def largest_error(data: Mapping[str, Any]) -> float:
    """The largest error that there can be with these entries of "data": 1 with classes, any with another task."""
    return math.inf if "task" in data else 1.0


def _require(entry: Mapping[str, Any], needed: Collection[str]) -> None:
    missing = [name for name in needed if name not in entry]
    if missing:
        raise _DamagedError(f"is not the result of a run: it lacks {', '.join(map(repr, missing))}")


def _whole(entry: Mapping[str, Any], name: str) -> int:
    value = entry[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _DamagedError(f"is damaged: {quote(name)} must be a whole number, but it is {quote(value)}")
    if value < 0:
        raise _DamagedError(f"is damaged: {quote(name)} must not be negative, but it is {quote(value)}")
    return value


def _number(entry: Mapping[str, Any], name: str, least: float = -math.inf, most: float = math.inf) -> float | None:
    """A figure of an entry; None for one that was not measured."""
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _DamagedError(f"is damaged: {quote(name)} must be a number or null, but it is {quote(value)}")
    if not (math.isfinite(value) and least <= value <= most):
        bounds = [f"from {least:g}"] * (least > -math.inf) + [f"to {most:g}"] * (most < math.inf)
        words = " ".join(["a finite number", *bounds])
        raise _DamagedError(f"is damaged: {quote(name)} must be {words}, but it is {quote(value)}")
    return float(value)


def _amounts(entry: Mapping[str, Any], name: str) -> dict[str, float]:
    """Amounts by cost measure; empty where there are none."""
    amounts = entry.get(name) or {}
    if not isinstance(amounts, Mapping):
        raise _DamagedError(f"is damaged: {quote(name)} must be an object, but it is {quote(amounts)}")
    known = {measure: _number(amounts, measure, 0) for measure in amounts}
    return {measure: amount for measure, amount in known.items() if amount is not None}


def _confusion(entry: Mapping[str, Any]) -> tuple[tuple[int, int, int], ...]:
    rows = entry.get("confusion") or []
    kind = list_of(list_of(WHOLE))
    if not kind.holds(rows) or any(len(row) != 3 for row in rows):
        raise _DamagedError(f"is damaged: 'confusion' must be a list of three whole numbers each, not {quote(rows)}")
    return tuple((true, answer, images) for true, answer, images in rows)


def _identifier(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise _DamagedError(
            f"is damaged: {quote(name)} must be up to 64 letters, digits, '-' and '_', but it is {quote(value)}"
        )
    return value


def _word(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str) or not value.isprintable():
        raise _DamagedError(f"is damaged: {quote(name)} must be a word, but it is {quote(value)}")
    return value


def _inner_path(entry: Mapping[str, Any], name: str) -> None:
    """Refuses a path that leads out of the run folder, on whatever system it was written."""
    value = entry.get(name)
    if value is None:
        return
    if not isinstance(value, str) or not value.isprintable() or set(value) & set(":\\"):
        raise _DamagedError(f"is damaged: {quote(name)} must be a path in the run folder, but it is {quote(value)}")
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _DamagedError(f"is damaged: {quote(name)} must be a path in the run folder, but it is {quote(value)}")


def _remedy(folder: Path) -> str:
    return f"'{command('resume', folder)}' writes it again"
