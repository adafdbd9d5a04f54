"""Parts that keep in a module what a resumed run has in no process: each breaks the check that it is named after."""

from __future__ import annotations

import attrs
import torch

from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.hookspecs import hookimpl
from nasplug.parts import PruningSchedule, option
from nasplug.values import Verdict

kept = {"steps": 0, "turns": 0}


@attrs.define
class Counts(PruningSchedule):
    """Deletes the first candidates when a module has counted all steps."""

    def after_step(self, choices, now):
        kept["steps"] = 1 if now.step == 0 else kept["steps"] + 1
        if kept["steps"] != now.steps:
            return Verdict()
        doomed = torch.zeros_like(choices.kept)
        doomed[:, 0] = True
        return Verdict(deleted=choices.delete(doomed))


@attrs.define
class TakesTurns(Bilevel):
    """Takes its turns the other way round when a module has counted six."""

    alpha_lr: float = option(0.1, "learning rate of alpha", above=0)

    def initialise(self, choices, generator):
        kept["turns"] = 0
        Bilevel.initialise(self, choices, generator)

    def updates(self, now):
        return Bilevel.updates(self, now)[:: -1 if kept["turns"] == 6 else 1]

    def compute_gradients(self, turn, objective, torch_optimizers):
        kept["turns"] += 1
        return Bilevel.compute_gradients(self, turn, objective, torch_optimizers)


@hookimpl
def nasplug_register(register):
    name = "goes-on-exactly-after-a-stop"
    register.schedule(name, "broken_by_modules:Counts", summary="Counts steps in a module.")
    register.optimizer(name, "broken_by_modules:TakesTurns", summary="Counts turns in a module.")
