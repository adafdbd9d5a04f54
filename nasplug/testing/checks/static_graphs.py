"""What a part promises with `static_graph = True`: that its steps can be recorded and replayed on a GPU."""

from __future__ import annotations

import math

from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.engine.ahead.graph_keys import step_key
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.plain.keep import Keep
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tape import Asked, TapeRecorder
from nasplug.testing.tiny_search import TinySearch, begin

TOLERANCE = 1e-3
"""Largest relative difference of losses: what is deleted is computed for some steps more, which rounds otherwise."""


@check("space", "optimizer", "schedule", "teacher")
def replays_as_it_computes(case: Case) -> None:
    """A part with `static_graph = True` gives the same when steps are replayed and the host reads every third only.

    A Python number that changes while the key stays (a temperature, a share), a tensor that is replaced instead of
    written to, and a question that the host asks of a tensor are wrong on a GPU, and right only on a CPU.
    """
    plain, quick = _trial(case), _trial(case)
    trainer = quick.trainer
    if trainer is None or step_key(trainer, trainer.clock.at(0)) is None:
        raise NotApplicable("its static_graph is False, or that of its partners is")
    plain.train()
    try:
        quick.train(runner=AheadRunner(3, GraphCache(TapeRecorder())))
    except Asked as error:
        raise Failed(
            f"a step that is recorded asks the device, or brings it something: {error}",
            "leave to tensors what only the device knows, bring them before the first step, or set no static_graph",
        ) from error
    require(
        len(plain.steps) == len(quick.steps),
        f"a search ends after {len(quick.steps)} steps instead of {len(plain.steps)}",
        "decide by tensors that are written to in place",
    )
    for one, other in zip(plain.steps, quick.steps, strict=True):
        require(
            math.isclose(one.loss, other.loss, rel_tol=TOLERANCE),
            f"the loss of step {one.step} is {other.loss:.6g} when it is replayed, and {one.loss:.6g} when computed",
            "name in graph_key what changes, keep it in a tensor that is written to in place, or set no static_graph",
        )
        for name, value in one.measures.items():
            found = other.measures.get(name, math.nan)
            require(
                math.isclose(value, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE),
                f"the measure {name} of step {one.step} is {found:.6g} when steps are replayed, else {value:.6g}",
                "report tensors, or numbers that are known without asking the device",
            )


def _trial(case: Case) -> TinySearch:
    parts = case.once(plan).parts()
    trial = begin(parts, seed=0)
    if case.slot == "space" and trial.trainer is not None:
        trial.trainer.schedule = Keep()  # the partner of spaces asks the device
    return trial
