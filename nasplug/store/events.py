"""Events on disk: each line is checked when it is read. Importing this module imports no torch."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError, RunFailure, quote
from nasplug.formats.fields import FLAG, NUMBER, OBJECT, TEXT, WHOLE, Kind, check_fields, list_of, object_of
from nasplug.formats.json_text import parse_json, parse_object
from nasplug.formats.limits import FormatError
from nasplug.store.files import write_atomically

CHECK = ', "check": "'
"""What stands before the checksum of a line, as `json.dumps` writes it."""
HEXADECIMAL = re.compile("[0-9a-f]{1,8}")
CHECKED = re.compile(f'{CHECK}[0-9a-f]{{8}}"')
FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "step": {
        "step": WHOLE.or_null(),
        "epoch": WHOLE.or_null(),
        "stage": WHOLE.or_null(),
        "loss": NUMBER,
        "alpha_eigenvalue": NUMBER,
        "alpha_entropy": NUMBER,
        "parameterless_share": NUMBER,
        "parameterless_expected": NUMBER,
        "snapshot": OBJECT.or_null(),
        "reason": TEXT.or_null(),
        "stop": FLAG,
    },
    "found": {"step": WHOLE.or_null(), "reason": TEXT.or_null(), "genotype": OBJECT},
    "rated": {"block": WHOLE.or_null(), "rating": NUMBER, "space": TEXT, "path": object_of(list_of(TEXT))},
    "evaluated": {"trainings": WHOLE, "candidates": TEXT, "images": WHOLE, "loss": NUMBER, "error": NUMBER},
    "warning": {
        "sign": TEXT,
        "step": WHOLE.or_null(),
        "epoch": WHOLE.or_null(),
        "value": NUMBER,
        "limit": NUMBER,
        "text": TEXT,
    },
}
"""By kind of event, what its entries must be; measures of a schedule have names of their own."""

EventCallback = Callable[[Mapping[str, Any]], None]
"""Called with every event after it was written to disk."""


def ignore_event(event: Mapping[str, Any]) -> None:
    """Does nothing with the event: the default callback."""


class Journal:
    """The growing `events.jsonl` of a run or of one of its phases. Each line is on disk before the callback gets it."""

    def __init__(self, path: Path, on_event: EventCallback) -> None:
        self.path = path
        self.on_event = on_event
        self._rewrite(_read_lines(path))

    def cut(self, count: int) -> None:
        """Keeps the first `count` events: what came after a checkpoint will happen again.

        Raises InputError if there are fewer.
        """
        if count > self.count:
            raise InputError(
                f"'{self.path}' has lost events: {count} were written before the last checkpoint, and {self.count} are "
                f"left; restore the file from a copy of the run, or remove the checkpoint to repeat its phase."
            )
        self._rewrite(islice(_read_lines(self.path), count))

    def drop(self, phase: str, kind: str | None = None) -> None:
        """Drops the events of `phase`, or its events of one kind, after which it has no others: they happen again."""
        self._rewrite(
            line
            for line in _read_lines(self.path)
            if line.phase != phase or (kind is not None and line.event["event"] != kind)
        )

    def absorb(self, parts: Mapping[str, Path]) -> None:
        """Adds the events of phases that have journals of their own, in this order; not those that it has already."""
        added = [line for phase, path in parts.items() if phase not in self._last for line in _read_lines(path)]
        if added:
            self._rewrite([*_read_lines(self.path), *added])

    def append(self, phase: str, record: Mapping[str, Any]) -> None:
        """Writes one event, then calls `on_event` with it. RunFailure if it cannot be written."""
        line = Line.of({"event": record["event"], "phase": phase, **record}, self._last.get(phase, 0))
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line.text)
        except OSError as error:
            raise RunFailure(f"'{self.path}' takes no more events: {error.strerror}.") from error
        self.count += 1
        self._last[phase] = line.check
        self.on_event(line.event)

    def sync(self) -> None:
        """Returns when every event is on the disk, so that a checkpoint never outlives the events before it."""
        with suppress(OSError), self.path.open("rb") as stream:
            os.fsync(stream.fileno())

    def _rewrite(self, lines: Iterable[Line]) -> None:
        kept, self._last = [], {}
        for line in lines:
            kept.append(line.text)
            self._last[line.phase] = line.check
        self.count = len(kept)
        write_atomically(self.path, "".join(kept).encode())


class Tail:
    """The events of a journal after the first `given`, to which another process appends.

    A process that goes on with a phase after another one was lost cuts the journal back to the last checkpoint, and the
    events after that happen again. Each is given once. Nothing is written: only the process that has locked the phase
    may do that.
    """

    def __init__(self, path: Path, given: int) -> None:
        self.path = path
        self._offset = self._count = 0
        """Bytes and lines of the journal, as it is now, that were read."""
        self._last = b""
        """The last of these lines, whose checksum also tells what was before it."""
        self._given = given
        """Lines that count as given, also of a journal that was cut since."""

    def read(self) -> list[dict[str, Any]]:
        """The events appended since the last call, without a last line that is not complete yet."""
        lines = self._read_lines()
        before = self._count - len(lines)
        new = lines[max(self._given - before, 0) :]
        self._given = max(self._given, self._count)
        return [Line.parse(_decode(line, self.path), self.path).event for line in new]

    def _read_lines(self) -> list[bytes]:
        """The complete lines after those that were read; all of them, if the journal does not have those any more."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return []
        with stream:
            stream.seek(self._offset - len(self._last))
            if stream.read(len(self._last)) != self._last:
                self._offset, self._count, self._last = 0, 0, b""
                stream.seek(0)
            lines = [line for line in stream if line.endswith(b"\n")]
        self._offset += sum(map(len, lines))
        self._count += len(lines)
        self._last = lines[-1] if lines else self._last
        return lines


def parse_event(text: str) -> dict[str, Any]:
    """The event that a line describes; FormatError if it is none."""
    event = parse_object(text)
    check_fields(event, {"event": TEXT, "phase": TEXT})
    check_fields(event, {}, FIELDS.get(event["event"]))
    return event


def require_entries(event: Mapping[str, Any], names: Collection[str], path: Path) -> None:
    """Raises InputError if an event of the file `path` lacks one of these entries, or has null there."""
    if lost := [name for name in names if event.get(name) is None]:
        raise InputError(
            f"{quote(path)} is damaged: an event '{event['event']}' lacks '{lost[0]}'; restore it from a copy of the "
            f"run."
        )


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, without a last line that was cut off half-way. InputError if it is damaged."""
    return (line.event for line in _read_lines(path))


def merge_journals(journal: Path, parts: Iterable[tuple[str, Path]]) -> None:
    """Appends the events of phases that ran in parallel, in the order of `parts` (phase, its own journal).

    Doing it twice gives the same file: earlier copies of the same phases are replaced.
    """
    named = dict(parts)
    kept = [line.text for line in _read_lines(journal) if line.phase not in named]
    added = [line.text for path in named.values() for line in _read_lines(path)]
    write_atomically(journal, "".join([*kept, *added]).encode())


def keep_phases(journal: Path, phases: Collection[str]) -> None:
    """Drops the events of all other phases."""
    kept = [line.text for line in _read_lines(journal) if line.phase in phases]
    write_atomically(journal, "".join(kept).encode())


@attrs.frozen
class Line:
    """A line of a journal: an event as JSON, whose last entry `check` is the checksum of the line.

    It is the CRC-32 of the JSON text without that entry, continued from the `check` of the line of the same phase
    before it; so a line that is changed, lost or moved is noticed, and phases can be taken out or put together. Lines
    of versions before 0.2 have no `check`.
    """

    text: str
    """The line, with its end."""
    event: dict[str, Any]
    check: int
    """The checksum; 0 for a line without one."""

    @property
    def phase(self) -> str:
        """The phase that the event belongs to."""
        return str(self.event["phase"])

    @classmethod
    def of(cls, event: Mapping[str, Any], before: int) -> Line:
        """The line of a new event, where `before` is the checksum of the phase's last line, or 0."""
        text = json.dumps(event)
        check = zlib.crc32(text.encode(), before)
        return cls(f'{text[:-1]}{CHECK}{check:08x}"}}\n', {**event, "check": f"{check:08x}"}, check)

    @classmethod
    def parse(cls, text: str, path: Path) -> Line:
        """A line of the file `path`; InputError if it is no event."""
        try:
            event = parse_event(text)
        except FormatError as error:
            raise _damaged(path, text, f"is no event: {error}") from error
        check = event.get("check", "0")
        if not isinstance(check, str) or not HEXADECIMAL.fullmatch(check):
            raise _damaged(path, text, "has no checksum in its entry 'check'")
        return cls(text, event, int(check, 16))

    def follows(self, before: int) -> bool:
        """Whether the line matches its checksum, where `before` is that of the phase's last line, or 0."""
        return (
            "check" not in self.event
            or zlib.crc32(f"{self.text.rpartition(CHECK)[0]}}}".encode(), before) == self.check
        )


def _read_lines(path: Path) -> Iterator[Line]:
    last: dict[str, int] = {}
    for text in _read_complete_lines(path):
        line = Line.parse(text, path)
        if not line.follows(last.get(line.phase, 0)):
            raise _damaged(path, text, "does not match its checksum, or the line before it is gone")
        last[line.phase] = line.check
        yield line


def _read_complete_lines(path: Path) -> Iterator[str]:
    """Every line, but for a last one that a kill or a full disk cut off before its end."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", newline="\n") as stream:
            for line in stream:
                if line.endswith("\n"):
                    yield line
                elif line.endswith("}") and _is_json(line):
                    yield f"{line}\n"
                elif (checked := CHECKED.search(line)) and checked.end() < len(line):  # else its brace was not written
                    raise _damaged(path, line, "has no end")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read ({error}); restore it from a copy of the run.") from error


def _decode(line: bytes, path: Path) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise _damaged(path, line.decode(errors="replace"), "is not text in UTF-8") from error


def _damaged(path: Path, line: str, reason: str) -> InputError:
    return InputError(
        f"'{path}' is damaged: the line {quote(line.strip())} {reason}; restore it from a copy of the run."
    )


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except FormatError:
        return False
    return True
