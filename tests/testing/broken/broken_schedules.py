"""Pruning schedules, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import random

import attrs
import torch

from nasplug.hookspecs import hookimpl
from nasplug.parts import PruningSchedule, option
from nasplug.testing.toy import Weakest
from nasplug.values import Verdict


@attrs.define
class Idle(PruningSchedule):
    def after_step(self, choices, now):
        return Verdict()


@attrs.define
class Resurrects(Weakest):
    """Writes the mask of the candidates again, where it may only clear entries."""

    def after_step(self, choices, now):
        before = int(choices.kept.sum())
        verdict = Weakest.after_step(self, choices, now)
        if now.step + 1 == now.steps:
            choices.kept.copy_(choices.valid_mask)
            choices.refresh()
        return attrs.evolve(verdict, deleted=before - int(choices.kept.sum()))


@attrs.define
class Empties(Idle):
    """Deletes the last candidate of a choice as well."""

    def after_step(self, choices, now):
        if now.step + 1 < now.steps:
            return Verdict()
        deleted = int(choices.kept[0].sum())
        choices.kept[0] = False
        choices.refresh()
        return Verdict(deleted=deleted)


@attrs.define
class Miscounts(Weakest):
    def after_step(self, choices, now):
        verdict = Weakest.after_step(self, choices, now)
        return attrs.evolve(verdict, deleted=verdict.deleted and 1)


@attrs.define
class Undeclared(Weakest):
    takes_snapshots = False


@attrs.define
class RanksInSecret(Weakest):
    ranks_candidates = False


@attrs.define
class Detached(Idle):
    def penalise(self, loss, choices, now):
        return loss * (1 + choices.weights().detach().amax())


@attrs.define
class CountsCalls(Idle):
    calls: int = attrs.field(init=False, default=0)

    def penalise(self, loss, choices, now):
        if now.steps == 12:  # as it is asked outside of a search
            self.calls += 1
        return loss


@attrs.define
class DividesByEpochs(Idle):
    def after_step(self, choices, now):
        return Verdict(measures={"pace": now.steps / (now.epochs - 1)})


@attrs.define
class HidesState(Weakest):
    """Counts in a place that no checkpoint knows."""

    def begin(self, choices, clock):
        choices.calls = 0

    def after_step(self, choices, now):
        choices.calls = getattr(choices, "calls", 0) + 1
        verdict = Weakest.after_step(self, choices, now)
        return attrs.evolve(verdict, measures={"calls": choices.calls})


@attrs.define
class HidesEarly(Weakest):
    """Notes something in the first step, which the second needs and no other, in a place that no checkpoint knows."""

    def after_step(self, choices, now):
        if now.step == 0:
            choices.first = 1
        verdict = Weakest.after_step(self, choices, now)
        return attrs.evolve(verdict, measures={"first": getattr(choices, "first", 0) if now.step == 1 else 0})


@attrs.define
class ShrinksAlpha(Weakest):
    def after_step(self, choices, now):
        choices.alpha.data.mul_(0.999)
        return Weakest.after_step(self, choices, now)


@attrs.define
class DeletesByHand(Idle):
    """Writes to the mask of the candidates."""

    def after_step(self, choices, now):
        if now.step + 1 < now.steps:
            return Verdict()
        choices.kept[:, 0] = False
        choices.refresh()
        return Verdict(deleted=len(choices))


@attrs.define
class DeletesOneMore(Weakest):
    """Deletes one candidate more in its last step, beside those that it hands to `delete`."""

    def after_step(self, choices, now):
        before = int(choices.kept.sum())
        verdict = Weakest.after_step(self, choices, now)
        if now.step + 1 == now.steps and int(choices.kept[0].sum()) > 1:
            choices.kept[0, int(choices.alpha[0].masked_fill(~choices.kept[0], torch.inf).argmin())] = False
            choices.refresh()
        return attrs.evolve(verdict, deleted=before - int(choices.kept.sum()))


@attrs.define
class InDoublePrecision(Idle):
    def penalise(self, loss, choices, now):
        return loss.double()


@attrs.define
class KeepsATuple(Idle):
    seen: tuple[int, ...] = attrs.field(init=False, default=())

    def after_step(self, choices, now):
        self.seen = (now.step,)
        return Verdict()


@attrs.define
class ReportsWords(Idle):
    def after_step(self, choices, now):
        return Verdict(measures={"alive": "three"})


@attrs.define
class Breaks(Idle):
    def after_step(self, choices, now):
        raise KeyError("no such thing")


@attrs.define
class Remembers(Idle):
    """Counts in its class, which outlives a search."""

    searches = 0

    def after_step(self, choices, now):
        Remembers.searches += now.step == 0
        return Verdict(measures={"searches": Remembers.searches if now.step == 0 else 0})


@attrs.define
class MovesToTheGpu(Idle):
    def after_step(self, choices, now):
        if torch.cuda.is_available():
            choices.alpha.detach().cuda()
        return Verdict()


@attrs.define
class UsesGlobalGenerator(Idle):
    def after_step(self, choices, now):
        random.random()
        return Verdict()


@attrs.define
class DeletesTheStrongest(Weakest):
    def after_step(self, choices, now):
        if not now.ends_epoch:
            return Verdict()
        strongest = choices.weights().detach().argmax(1, keepdim=True)
        doomed = torch.zeros_like(choices.kept).scatter_(1, strongest, value=True)
        return Verdict(deleted=choices.delete(doomed), snapshot="epoch")


@attrs.define
class WithoutDefault(Idle):
    rate: float = attrs.field(kw_only=True)


@attrs.define
class Undescribed(Idle):
    rate: float = attrs.field(default=0.5, kw_only=True)


@attrs.define
class DividesByAnOption(Idle):
    parts: int = option(2, "parts of something", at_least=0)

    def __attrs_post_init__(self):
        1 / self.parts


@attrs.define
class ChangesAnOption(Idle):
    share: float = option(0.5, "share of something")

    def __attrs_post_init__(self):
        self.share = self.share / 2


@hookimpl
def nasplug_register(register):
    for name, target in {
        "deleted-candidates-stay-deleted": "Resurrects",
        "leaves-as-many-as-a-genotype-needs": "Empties",
        "counts-what-it-deletes": "Miscounts",
        "leaves-snapshots-as-it-declares": "Undeclared",
        "ranks-candidates-only-if-it-declares-so": "RanksInSecret",
        "penalty-is-a-differentiable-number": "Detached",
        "penalising-changes-nothing": "CountsCalls",
        "works-in-the-shortest-search": "DividesByEpochs",
        "goes-on-exactly-after-a-stop.hidden": "HidesState",
        "goes-on-exactly-after-stops-at-every-step": "HidesEarly",
        "deletes-and-changes-nothing-else": "ShrinksAlpha",
        "deletes-and-changes-nothing-else.by-hand": "DeletesByHand",
        "deletes-and-changes-nothing-else.one-more": "DeletesOneMore",
        "penalty-is-a-differentiable-number.float64": "InDoublePrecision",
        "state-survives-json": "KeepsATuple",
        "reports-plain-numbers": "ReportsWords",
        "searches-to-its-end": "Breaks",
        "one-seed-gives-one-result": "Remembers",
        "computes-where-it-is-told": "MovesToTheGpu",
        "leaves-global-generators-alone": "UsesGlobalGenerator",
        "ranks-the-best-operation-first": "DeletesTheStrongest",
        "is-what-its-slot-asks-for": "Nowhere",
        "builds-from-its-defaults": "WithoutDefault",
        "describes-its-options": "Undescribed",
        "refuses-bad-options-in-a-sentence": "DividesByAnOption",
        "options-survive-a-recipe": "ChangesAnOption",
    }.items():
        register.schedule(name, f"broken_schedules:{target}", summary=f"Breaks {name}.")
