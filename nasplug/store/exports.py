"""What was exported from a run, as `result.json` has it: one entry for each network, format and way of quantisation.

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import attrs

from nasplug.formats.fields import FLAG, NUMBER, TEXT, WHOLE, Kind, check_fields
from nasplug.store.lock import lock_folder

if TYPE_CHECKING:
    from nasplug.store.run_folder import RunFolder

EXPORTS = "exports"
FIELDS: Mapping[str, Kind] = {
    "network": TEXT,
    "format": TEXT,
    "int8": FLAG,
    "qat": WHOLE,
    "file": TEXT,
    "bytes": WHOLE,
    "nodes": WHOLE.or_null(),
    "milliseconds": NUMBER,
    "images": WHOLE,
    "agreeing": WHOLE,
    "error": NUMBER,
    "float_error": NUMBER,
}


@attrs.frozen
class ExportResult:
    """An exported file beside the network that it was made from."""

    network: str
    """Its id."""
    format: str
    int8: bool
    """Whether weights and maps have 8 bits."""
    qat: int
    """Epochs for which the network was trained with rounded weights and maps before."""
    file: str
    """Its name."""
    bytes: int
    nodes: int | None
    """Operations of its graph; None: unknown for its format."""
    milliseconds: float
    """The median time for one image in one thread, in the program that reads the format."""
    images: int
    """Test images that both classified."""
    agreeing: int
    """Of them, those that both put into the same class."""
    error: float
    """The error of the file on them, from 0 to 1."""
    float_error: float
    """That of the network."""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """Reads an entry; FormatError if it is none."""
        entry = {"qat": 0, **entry}  # versions that could not train this way wrote none
        check_fields(entry, FIELDS)
        return cls(**{name: entry[name] for name in FIELDS})

    def describe(self, word: str) -> str:
        """A sentence on it for people, in which `word` is what an input is called."""
        graph = "" if self.nodes is None else f", {self.nodes} operations"
        agreement = f"{100 * self.agreeing / self.images:.2f} % of the predictions agree" if self.images else "none"
        return (
            f"{self.bytes:,} bytes{graph}, {1000 * self.milliseconds:.0f} us for one {word}. On {self.images:,} test "
            f"{word}s: error {100 * self.error:.2f} %, that of the network {100 * self.float_error:.2f} %; {agreement}."
        )


def record_export(folder: RunFolder, export: ExportResult) -> None:
    """Adds an export to those of a result, in place of an earlier one of the same network, format and quantisation.

    Raises AlreadyRunning if another process carries out the run, which writes the result too, and RunFailure if the
    result cannot be written.
    """
    with lock_folder(folder.path):
        result, new = folder.result(), attrs.asdict(export)
        others = [entry for entry in result.get(EXPORTS, ()) if _kind(entry) != _kind(new)]
        folder.write_result(result | {EXPORTS: [*others, new]})


def _kind(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return entry.get("network"), entry.get("format"), entry.get("int8"), entry.get("qat", 0)
