"""Checks of observers: what a plugin's `nasplug_event` and `nasplug_end` do with a run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nasplug.testing.case import Case
from nasplug.testing.check import OBSERVER, check
from nasplug.testing.outcome import NotApplicable, require
from nasplug.values import Found, Genotype, Rated, Step

GENOTYPE = Genotype("toy", {"0": ("convolution",), "1": ("skip",)})
STEPS = (
    Step(step=1, epoch=0, loss=1.5, measures={"deleted": 0.0}),
    Step(step=2, epoch=0, loss=1.25, measures={"alive": 3.0}, snapshot=GENOTYPE, reason="epoch", stage=1),
    Step(step=3, epoch=1, loss=1.0, stop=True),
)
SEARCH = (
    *STEPS,
    Rated(block=None, path=GENOTYPE, rating=0.5),
    Rated(block=1, path=GENOTYPE, rating=0.25),
    Found(genotype=GENOTYPE, step=3, reason="decoded", measures={"rating": 0.5}),
)
EVENTS: tuple[dict[str, Any], ...] = (
    *({"phase": "teacher", **event.record()} for event in STEPS[:1]),
    *({"phase": "search", **event.record()} for event in SEARCH),
    *({"phase": f"{phase}/0123456789ab", **STEPS[0].record()} for phase in ("retrain", "baseline")),
)
"""An event of every kind, as a run reports it."""


@check(OBSERVER)
def sees_every_event(case: Case) -> None:
    """The observer handles an event of every kind and phase without an error.

    An observer that raises is switched off for the rest of the run, so later events are lost to its user.
    """
    with TemporaryDirectory() as folder:
        for event in EVENTS:
            _notify(case, Path(folder), copy.deepcopy(event))


@check(OBSERVER)
def sees_events_again_after_a_stop(case: Case) -> None:
    """The observer handles events of the same run that it has seen before.

    A resumed run truncates its events to the last checkpoint, and reports the following ones again.
    """
    with TemporaryDirectory() as folder:
        for event in (*EVENTS, *EVENTS[2:]):
            _notify(case, Path(folder), copy.deepcopy(event))


@check(OBSERVER)
def changes_neither_events_nor_the_run(case: Case) -> None:
    """The observer changes neither the event nor any file of the run other than its own.

    A run whose recipe or events were changed cannot be resumed.
    """
    with TemporaryDirectory() as folder:
        run = Path(folder)
        (run / "recipe.toml").write_text("[run]\nseed = 0\n", encoding="utf-8")
        (run / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS), encoding="utf-8")
        (run / "phases" / "search").mkdir(parents=True)
        (run / "phases" / "search" / "checkpoint.safetensors").write_bytes(b"state")
        before = dict(_contents(run))
        for event in EVENTS:
            passed = copy.deepcopy(event)
            _notify(case, run, passed)
            changed = [name for name in {**event, **passed} if repr(event.get(name)) != repr(passed.get(name))]
            require(not changed, f"'{', '.join(changed)}' of an event is changed", "change a copy of the event")
        after = dict(_contents(run))
        changed = [name for name, content in before.items() if after.get(name) != content]
        require(not changed, f"{', '.join(changed)} of the run is changed", "write only to files of its own")


@check(OBSERVER)
def sees_the_end_of_every_run(case: Case) -> None:
    """The observer handles the end of a run, finished or not, also where it has seen no event of it, and a second end.

    A run that was finished before and is resumed has no more events; one that was stopped early has no result yet.
    """
    if "nasplug_end" not in case.plugin.hooks:
        raise NotApplicable("it does not watch the end of a run")
    for status, events in ((None, ()), ("stopped", EVENTS[:2]), ("done", EVENTS)):
        with TemporaryDirectory() as folder:
            run = Path(folder)
            if status is not None:
                (run / "result.json").write_text(json.dumps({"status": status, "networks": []}), encoding="utf-8")
            for event in events:
                _notify(case, run, copy.deepcopy(event))
            for _ in range(2):
                _call(case, "nasplug_end", {"run": run})


def _notify(case: Case, run: Path, event: dict[str, Any]) -> None:
    """Tells only this plugin's observer of an event."""
    _call(case, "nasplug_event", {"run": run, "event": event})


def _call(case: Case, hook: str, arguments: dict[str, Any]) -> None:
    """Calls this plugin's implementation of a hook, with the arguments that its signature names."""
    for implementation in getattr(case.plugins.manager.hook, hook).get_hookimpls():
        if implementation.plugin_name.startswith(f"{case.plugin.name} of {case.plugin.distribution} "):
            implementation.function(*(arguments[name] for name in implementation.argnames))
            return
    raise NotApplicable("its observer is not there")


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
