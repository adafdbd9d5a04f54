"""Observers: what a plugin's `nasplug_event` does with the events of a run."""

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
    *({"phase": "teacher", **each.record()} for each in STEPS[:1]),
    *({"phase": "search", **each.record()} for each in SEARCH),
    *({"phase": f"{trainer}/0123456789ab", **STEPS[0].record()} for trainer in ("retrain", "baseline")),
)
"""An event of every kind, as a run reports it."""


@check(OBSERVER)
def sees_every_event(case: Case) -> None:
    """The observer takes an event of every kind and phase without an error.

    One that raises is switched off for the rest of the run, so its user loses what came later.
    """
    with TemporaryDirectory() as folder:
        for event in EVENTS:
            _show(case, Path(folder), copy.deepcopy(event))


@check(OBSERVER)
def sees_events_again_after_a_stop(case: Case) -> None:
    """The observer takes events of the same run that it has seen before.

    A resumed run cuts its events back to the last checkpoint, and reports what follows again.
    """
    with TemporaryDirectory() as folder:
        for event in (*EVENTS, *EVENTS[2:]):
            _show(case, Path(folder), copy.deepcopy(event))


@check(OBSERVER)
def changes_neither_events_nor_the_run(case: Case) -> None:
    """The observer changes neither the event nor any file of the run but its own.

    Hooks watch; a run whose recipe or events were edited cannot be resumed.
    """
    with TemporaryDirectory() as folder:
        run = Path(folder)
        (run / "recipe.toml").write_text("[run]\nseed = 0\n", encoding="utf-8")
        (run / "events.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in EVENTS), encoding="utf-8")
        (run / "phases" / "search").mkdir(parents=True)
        (run / "phases" / "search" / "checkpoint.safetensors").write_bytes(b"state")
        before = dict(_contents(run))
        for event in EVENTS:
            shown = copy.deepcopy(event)
            _show(case, run, shown)
            changed = [name for name in {**event, **shown} if repr(event.get(name)) != repr(shown.get(name))]
            require(not changed, f"'{', '.join(changed)}' of an event is changed", "copy what is to be changed")
        after = dict(_contents(run))
        changed = [name for name, content in before.items() if after.get(name) != content]
        require(not changed, f"{', '.join(changed)} of the run is changed", "write to files of its own")


def _show(case: Case, run: Path, event: dict[str, Any]) -> None:
    """Hands an event to this plugin's observer alone, with the arguments that it asks for."""
    for one in case.plugins.manager.hook.nasplug_event.get_hookimpls():
        if one.plugin_name.startswith(f"{case.plugin.name} of {case.plugin.distribution} "):
            given = {"run": run, "event": event}
            one.function(*(given[name] for name in one.argnames))
            return
    raise NotApplicable("its observer is not there")


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
