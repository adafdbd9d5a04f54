"""Which runs have their search in common, because `nasplug retrain` has taken it from one run into another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from nasplug.report.methods.runs import ComparedRun
from nasplug.store.events import read_events

SEARCH = "search"
"""The phase."""


def find_shared_searches(runs: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """The runs that have one search in common, two or more in each list.

    They have the same record of the search, and all its events are the same. A search that is carried out once more
    takes another time, and where nothing is trained, another seed finds other networks.
    """
    # Events are many, and records few bytes, so that events are read only where the records are the same.
    return [shared for alike in _group(runs, _read_record) for shared in _group(alike, _digest_events)]


def _group(runs: Sequence[ComparedRun], key: Callable[[ComparedRun], Hashable]) -> list[list[ComparedRun]]:
    """The runs that have the same key, two or more in each list; None is no key."""
    groups: dict[Hashable, list[ComparedRun]] = {}
    for run in runs:
        if (value := key(run)) is not None:
            groups.setdefault(value, []).append(run)
    return [group for group in groups.values() if len(group) > 1]


def _read_record(run: ComparedRun) -> bytes | None:
    """The record of the finished search, as it is on disk; None if there is none."""
    path = Path(run.folder, "phases", SEARCH, "done.json")
    return path.read_bytes() if path.is_file() else None


def _digest_events(run: ComparedRun) -> bytes | None:
    """A digest of all that happened in the search; None if nothing of it is on record."""
    digest, count = hashlib.sha256(), 0
    for event in read_events(Path(run.folder, "events.jsonl")):
        if event["phase"] == SEARCH:
            digest.update(json.dumps(event, sort_keys=True).encode())
            count += 1
    return digest.digest() if count else None
