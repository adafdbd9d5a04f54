"""Carries out checks, one after the other, and says what came of each."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import attrs
import numpy as np
import torch

from nasplug.errors import InputError, NasplugError, RunFailure, choose_from
from nasplug.testing.case import Case
from nasplug.testing.check import Check
from nasplug.testing.checks import CHECKS
from nasplug.testing.outcome import Failed, NotApplicable, Outcome, Status
from nasplug.testing.subject import Subject

HERE = Path(__file__).parent


@attrs.define(eq=False)
class Examination:
    """All checks of a package. `waivers` name checks that may fail, each with the reason.

    Raises InputError for a waiver of a check that does not exist, or without a reason.
    """

    subject: Subject
    waivers: Mapping[str, str] = attrs.field(factory=dict)
    _outcomes: dict[tuple[str, Case], Outcome] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for name, reason in self.waivers.items():
            if name not in CHECKS:
                raise choose_from("check to waive", name, CHECKS)
            if not reason.strip():
                raise InputError(f"The waiver of '{name}' needs a reason: what makes the check wrong for this plugin.")

    def pairs(self) -> list[tuple[Check, Case]]:
        """Every check with every thing that it looks at."""
        return [(check, case) for case in self.subject.cases for check in CHECKS.values() if case.slot in check.slots]

    def outcome(self, check: Check, case: Case) -> Outcome:
        """What comes of one check, waivers taken into account; carried out once."""
        found = self._plain(check, case)
        if found.status == "failed" and check.name in self.waivers:
            return attrs.evolve(found, status="waived", found=self.waivers[check.name], remedy="")
        return found

    def needed(self, name: str) -> Outcome:
        """Whether something fails the check that a waiver names."""
        found = Outcome(name, "waiver", "A waiver excuses a check that fails", "passed")
        if any(self._plain(check, case).status == "failed" for check, case in self.pairs() if check.name == name):
            return found
        remedy = "remove the waiver: it is not needed any more"
        return attrs.evolve(found, status="failed", found="nothing fails this check", remedy=remedy)

    def outcomes(self) -> Iterator[Outcome]:
        """Everything, in the order of things and checks; waivers last."""
        for check, case in self.pairs():
            yield self.outcome(check, case)
        yield from map(self.needed, self.waivers)

    def _plain(self, check: Check, case: Case) -> Outcome:
        key = (check.name, case)
        if key not in self._outcomes:
            hurdle = self._hurdle(check, case)
            if hurdle is not None:
                reason = f"it fails '{hurdle}'"
                self._outcomes[key] = Outcome(check.name, case.title, check.summary, "not applicable", reason)
            else:
                self._outcomes[key] = carried_out(check, case)
        return self._outcomes[key]

    def _hurdle(self, check: Check, case: Case) -> str | None:
        """The first of the checks before this one that must hold for it to make sense, and does not."""
        earlier = takewhile(lambda each: each is not check, CHECKS.values())
        firsts = [each for each in earlier if each.first and case.slot in each.slots]
        return next((each.name for each in firsts if self._plain(each, case).status == "failed"), None)


def carried_out(check: Check, case: Case) -> Outcome:
    """What comes of a check, whatever the part does: an exception of its own is a failure that names the place."""

    def outcome(status: Status, found: str = "", remedy: str = "") -> Outcome:
        return Outcome(check.name, case.title, check.summary, status, found, remedy)

    try:
        with undisturbed():
            check.function(case)
    except NotApplicable as absent:
        return outcome("not applicable", str(absent))
    except Failed as failure:
        return outcome("failed", failure.found, failure.remedy)
    except RunFailure as failure:
        return outcome("failed", f"a search breaks: {_clause(failure)}", "mend what this names")
    except NasplugError as refusal:
        return outcome("failed", f"it is refused: {_clause(refusal)}", "make the part accept what it is given here")
    except Exception as error:
        # Somebody else's code may raise anything; whoever checks it must learn where.
        place, own = _place(error)
        remedy = "mend it there" if own else "nasplug could not go on with what the part gave it or left: look there"
        return outcome("failed", f"{type(error).__name__}: {_clause(error)}, raised {place}", remedy)
    return outcome("passed")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Computes in one thread, and leaves the global generators as they were."""
    threads, states = torch.get_num_threads(), (random.getstate(), np.random.get_state(), torch.get_rng_state())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _clause(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "without a message"


def _place(error: BaseException) -> tuple[str, bool]:
    """The innermost line of the plugin, else of nasplug, and which; those of the checks and of torch help nobody."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/site-packages/torch/" not in one.filename]
    outside = [one for one in frames if HERE not in Path(one.filename).parents]
    foreign = [one for one in outside if HERE.parent not in Path(one.filename).parents]
    last = (foreign or outside or frames)[-1]
    return f"in {last.filename}, line {last.lineno} ({last.name})", bool(foreign)
