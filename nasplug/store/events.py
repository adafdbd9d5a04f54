"""Events on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from nasplug.errors import InputError, RunFailure
from nasplug.store.files import write_atomically

EventCallback = Callable[[Mapping[str, Any]], None]
"""Called with every event after it was written to disk."""


def ignore_event(event: Mapping[str, Any]) -> None:
    """Does nothing with the event: the default callback."""


class Journal:
    """The growing `events.jsonl` of a run or of one of its phases. Each line is on disk before the callback gets it."""

    def __init__(self, path: Path, on_event: EventCallback) -> None:
        self.path = path
        self.on_event = on_event
        self.count = sum(1 for _ in read_events(path))
        self.cut(self.count)

    def cut(self, count: int) -> None:
        """Keeps the first `count` events: what came after a checkpoint will happen again."""
        lines = list(islice(_read_complete_lines(self.path), count))
        write_atomically(self.path, "".join(lines).encode())
        self.count = len(lines)

    def drop(self, phase: str) -> None:
        """Drops the events of `phase`, which was stopped before its first checkpoint and starts again."""
        self.cut(sum(event["phase"] != phase for event in read_events(self.path)))

    def append(self, phase: str, record: Mapping[str, Any]) -> None:
        """Writes one event, then calls `on_event` with it. RunFailure if it cannot be written."""
        event = {"event": record["event"], "phase": phase, **record}
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(event) + "\n")
        except OSError as error:
            raise RunFailure(f"'{self.path}' takes no more events: {error.strerror}.") from error
        self.count += 1
        self.on_event(event)


class Tail:
    """The events that another process appends to a journal after this object was made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> list[dict[str, Any]]:
        """The events appended since the last call, without a last line that is not complete yet."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            lines = [line for line in stream if line.endswith(b"\n")]
        self._offset += sum(map(len, lines))
        return [_parse_event(line.decode(), self.path) for line in lines]


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, without a last line that was cut off half-way. InputError if it is damaged."""
    return (_parse_event(line, path) for line in _read_complete_lines(path))


def merge_journals(journal: Path, parts: Iterable[tuple[str, Path]]) -> None:
    """Appends the events of phases that ran in parallel, in the order of `parts` (phase, its own journal).

    Doing it twice gives the same file: earlier copies of the same phases are replaced.
    """
    named = dict(parts)
    kept = [line for line in _read_complete_lines(journal) if _parse_event(line, journal)["phase"] not in named]
    added = [line for path in named.values() for line in _read_complete_lines(path)]
    write_atomically(journal, "".join([*kept, *added]).encode())


def keep_phases(journal: Path, phases: Collection[str]) -> None:
    """Drops the events of all other phases."""
    kept = [line for line in _read_complete_lines(journal) if _parse_event(line, journal)["phase"] in phases]
    write_atomically(journal, "".join(kept).encode())


def _read_complete_lines(path: Path) -> Iterator[str]:
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as stream:
            yield from (line for line in stream if line.endswith("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read ({error}); restore it from a copy of the run.") from error


def _parse_event(line: str, path: Path) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or "event" not in event or "phase" not in event:
        raise InputError(
            f"'{path}' is damaged: the line {line.strip()!r:.60} is no event; restore it from a copy of the run."
        )
    return event
