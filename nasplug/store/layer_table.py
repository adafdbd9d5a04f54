"""What layers cost on this machine, kept for later runs: a file for each measure, its options and its environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout

from nasplug.errors import InputError, RunFailure, quote, reason
from nasplug.formats.fields import NUMBER, WHOLE, Kind, check_fields, object_of
from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, find_kind, read_file
from nasplug.parts import CostMeasure, LayerSpec
from nasplug.parts.cost_model import measure_layer
from nasplug.store.cache_folder import cache_folder
from nasplug.store.files import write_atomically
from nasplug.values.checksum import CHECKSUM, checksum_object, is_intact
from nasplug.values.options import option_values

SCHEMA = 1
PATIENCE = 10.0
"""Seconds for which another process may hold a table; it does so while it writes."""
AMOUNT = Kind("a number from 0 on", lambda value: NUMBER.holds(value) and isfinite(value) and value >= 0)
FIELDS: Mapping[str, Kind] = {
    "schema": WHOLE,
    "base": AMOUNT.or_null(),
    "layers": object_of(AMOUNT),
    CHECKSUM: Kind("text", lambda value: isinstance(value, str)),
}
BASE = ""
"""The name under which `Costs` of a table hold what every network costs beside its layers."""

TableCosts = dict[str, float]
"""By name, what layers cost in the unit of the measure."""


@attrs.define(eq=False)
class LayerTable:
    """What layers cost by measures that are `measured`; a `LayerCost`, as `CostModel` takes it.

    Each layer is measured once and kept in a file, which later runs read. A file belongs to a measure with its options,
    to its environment (processor, runtime with version) and to the version of nasplug, which builds the layers. Several
    processes can use the same files. Where they cannot be written, costs are kept for this process alone.
    """

    notice: Callable[[str], None]
    """Is told in one sentence what is wrong with a file."""
    folder: Path = attrs.field(factory=lambda: cache_folder() / "layers")
    _costs: dict[Path, TableCosts] = attrs.field(factory=dict, init=False)
    _unwritable: bool = attrs.field(default=False, init=False)

    def __call__(self, measure: CostMeasure, layer: LayerSpec | None) -> float:
        """What a layer costs, or with None what every network costs beside its layers.

        What is not `measured` is computed and not kept.
        """
        if not measure.measured:
            return measure_layer(measure, layer)
        path, name = self.path(measure), name_layer(layer)
        if path not in self._costs:
            self._costs[path] = self._read(path)
        if name not in self._costs[path]:
            self._keep(measure, path, name, measure_layer(measure, layer))
        return self._costs[path][name]

    def path(self, measure: CostMeasure) -> Path:
        """The file for a measure, which need not exist."""
        kind = type(measure)
        digest = checksum_object({**_describe(measure), "schema": SCHEMA})
        return self.folder / f"{kind.__name__.lower()}-{digest}.json"

    def measure_again(self, measure: CostMeasure, layer: LayerSpec | None) -> float:
        """What a layer costs now; this figure replaces the one in the file, whose other figures stay."""
        if not measure.measured:
            return measure_layer(measure, layer)
        path, name = self.path(measure), name_layer(layer)
        cost = measure_layer(measure, layer)
        self._keep(measure, path, name, cost, replace=True)
        return cost

    def _read(self, path: Path) -> TableCosts:
        """What a file holds; nothing if there is none, or with a notice if it is damaged."""
        try:
            if find_kind(path) is None:
                return {}
            return _parse(decode(read_file(path, "layer table")))
        except InputError as error:
            self.notice(f"The layer table {quote(path)} is damaged ({reason(error)}); its layers are measured again.")
            return {}

    def _keep(self, measure: CostMeasure, path: Path, name: str, cost: float, *, replace: bool = False) -> None:
        """Adds a cost, and what other processes have added to the file since; their figures win over this one.

        With `replace`, this one wins.
        """
        known = self._costs.setdefault(path, {})
        known[name] = cost
        if self._unwritable:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(path):
                known.update(self._read(path))
                if replace:
                    known[name] = cost
                write_atomically(path, _write(known, measure))
        except (OSError, RunFailure, Timeout) as error:
            self._unwritable = True
            self.notice(f"What layers cost is not kept for later runs: {reason(error)}")


def name_layer(layer: LayerSpec | None) -> str:
    """The name of a layer in tables."""
    return BASE if layer is None else f"{layer.key} on {'x'.join(map(str, layer.shape))}"


def _describe(measure: CostMeasure) -> Mapping[str, Any]:
    kind = type(measure)
    return {
        "measure": f"{kind.__module__}:{kind.__qualname__}",
        "options": option_values(measure),
        "environment": dict(measure.environment()),
        "nasplug": version("nasplug"),
    }


def _write(costs: TableCosts, measure: CostMeasure) -> bytes:
    layers = {name: cost for name, cost in sorted(costs.items()) if name != BASE}
    content = {
        "schema": SCHEMA,
        **_describe(measure),
        "unit": str(measure.unit),
        "base": costs.get(BASE),
        "layers": layers,
    }
    return json.dumps({**content, CHECKSUM: checksum_object(content)}, indent=1).encode()


def _parse(text: str) -> TableCosts:
    content = check_fields(parse_object(text), FIELDS)
    if not is_intact(content):
        raise FormatError("its content does not match its checksum")
    base = {} if content["base"] is None else {BASE: content["base"]}
    return {**content["layers"], **base}


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds the lock of a table; on a file system that has no locks the block runs without one."""
    lock = FileLock(path.with_suffix(".lock"), fallback_to_soft=False)
    with suppress(NotImplementedError):
        lock.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()
