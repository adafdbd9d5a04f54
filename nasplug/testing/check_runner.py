"""Runs the checks of a package one after the other, and reports the outcome of each."""

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
from nasplug.testing.checked_package import CheckedPackage
from nasplug.testing.checks import CHECKS
from nasplug.testing.checks.options import PARTS
from nasplug.testing.outcome import Failed, NotApplicable, Outcome, Status, Warned

HERE = Path(__file__).parent


@attrs.define(eq=False)
class CheckRunner:
    """All checks of a package. `waivers` name checks that may fail, each with the reason.

    A name is that of a check, "CHECK: SLOT NAME" for one of the things of the package, or "CHECK: SLOT NAME.OPTION" for
    an option of it. Raises InputError for a waiver of what does not exist, or without a reason.
    """

    package: CheckedPackage
    waivers: Mapping[str, str] = attrs.field(factory=dict)
    _outcomes: dict[tuple[str, Case], Outcome] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        titles = [case.title for case in self.package.cases]
        for name, reason in self.waivers.items():
            check, _, thing = name.partition(": ")
            if check not in CHECKS:
                raise choose_from("check to waive", check, CHECKS)
            title, option = self._split(thing)
            if title and title not in titles:
                raise choose_from(f"thing to waive '{check}' of", title, titles)
            if option and not CHECKS[check].of_options:
                fitting = (other.name for other in CHECKS.values() if other.of_options)
                raise choose_from(f"check of single options such as '{option}' called", check, fitting)
            if not reason.strip():
                raise InputError(f"The waiver of '{name}' needs a reason: what makes the check wrong for this plugin.")

    def pairs(self) -> list[tuple[Check, Case]]:
        """Every check with every case that it looks at."""
        return [(check, case) for case in self.package.cases for check in CHECKS.values() if case.slot in check.slots]

    def outcome(self, check: Check, case: Case) -> Outcome:
        """The outcome of one check, with waivers applied. The check runs at most once for each case."""
        outcome = self._before_waivers(check, case)
        if outcome.status != "failed":
            return outcome
        reasons = (self.waivers.get(name) for name in (f"{check.name}: {case.title}", check.name))
        reason = next(filter(None, reasons), None)
        by_option = self._waived_options(check, case)
        if reason is None and by_option:
            outcome = run_check(check, attrs.evolve(case, waived_options=frozenset(by_option)))
            if outcome.status != "failed":
                reason = ", ".join(f"{option}: {reason}" for option, reason in by_option.items())
        return outcome if reason is None else attrs.evolve(outcome, status="waived", found=reason, remedy="")

    def check_waiver(self, name: str) -> Outcome:
        """Passes if some case fails the check that a waiver names: a waiver that is not needed is an error."""
        outcome = Outcome(name, "waiver", "A waiver excuses a check that fails", "passed")
        waived, _, thing = name.partition(": ")
        title, option = self._split(thing)
        pairs = [(check, case) for check, case in self.pairs() if check.name == waived and title in ("", case.title)]
        if any(self._fails(check, case, option) for check, case in pairs):
            return outcome
        remedy = "remove the waiver: it is not needed any more"
        return attrs.evolve(outcome, status="failed", found="nothing fails this check", remedy=remedy)

    def outcomes(self) -> Iterator[Outcome]:
        """All outcomes, in the order of cases and checks; waivers last."""
        for check, case in self.pairs():
            yield self.outcome(check, case)
        yield from map(self.check_waiver, self.waivers)

    def _split(self, thing: str) -> tuple[str, str]:
        """The title of what a waiver names, "SLOT NAME" or "SLOT NAME.OPTION", and its option, or an empty one."""
        for case in self.package.cases:
            option = thing.removeprefix(f"{case.title}.")
            if option != thing and case.slot in PARTS and option in case.option_fields():
                return case.title, option
        return thing, ""

    def _fails(self, check: Check, case: Case, option: str) -> bool:
        """Whether a case fails a check, waivers aside; with an option, whether it does so by this one alone."""
        if not option:
            return self._before_waivers(check, case).status == "failed"
        others = frozenset(case.option_fields()) - {option}
        return run_check(check, attrs.evolve(case, waived_options=others)).status == "failed"

    def _waived_options(self, check: Check, case: Case) -> dict[str, str]:
        """The reasons of the waivers of this check for single options of a case, by option."""
        split = {self._split(name.removeprefix(f"{check.name}: ")): reason for name, reason in self.waivers.items()}
        return {option: reason for (title, option), reason in split.items() if option and title == case.title}

    def _before_waivers(self, check: Check, case: Case) -> Outcome:
        key = (check.name, case)
        if key not in self._outcomes:
            failed = self._failed_precondition(check, case)
            if failed is not None:
                reason = f"it fails '{failed}'"
                self._outcomes[key] = Outcome(check.name, case.title, check.summary, "not applicable", reason)
            else:
                self._outcomes[key] = run_check(check, case)
        return self._outcomes[key]

    def _failed_precondition(self, check: Check, case: Case) -> str | None:
        """The name of the first earlier check marked `first` that this case fails; None if it passes all of them."""
        earlier = takewhile(lambda other: other is not check, CHECKS.values())
        preconditions = [other for other in earlier if other.first and case.slot in other.slots]
        return next(
            (other.name for other in preconditions if self._before_waivers(other, case).status == "failed"), None
        )


def run_check(check: Check, case: Case) -> Outcome:
    """Runs a check. Whatever the plugin raises is a failure that names the place in its code."""

    def outcome(status: Status, found: str = "", remedy: str = "") -> Outcome:
        return Outcome(check.name, case.title, check.summary, status, found, remedy)

    try:
        with global_state_restored():
            check.function(case)
    except NotApplicable as absent:
        return outcome("not applicable", str(absent))
    except Failed as failure:
        return outcome("failed", failure.found, failure.remedy)
    except Warned as warning:
        return outcome("warned", warning.found, warning.remedy)
    except RunFailure as failure:
        return outcome("failed", f"a search breaks: {_as_clause(failure)}", "fix what this names")
    except NasplugError as refusal:
        return outcome("failed", f"it is refused: {_as_clause(refusal)}", "make the part accept what it is given here")
    except Exception as error:
        # The code of a plugin may raise anything; its author needs to know where.
        place, in_plugin = _locate(error)
        remedy = (
            "fix it there" if in_plugin else "nasplug could not use what the part returned or left behind: look there"
        )
        return outcome("failed", f"{type(error).__name__}: {_as_clause(error)}, raised {place}", remedy)
    return outcome("passed")


@contextmanager
def global_state_restored() -> Iterator[None]:
    """Computes in one thread inside the block; afterwards restores thread count and global random generators."""
    threads, states = torch.get_num_threads(), (random.getstate(), np.random.get_state(), torch.get_rng_state())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _as_clause(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "without a message"


def _locate(error: BaseException) -> tuple[str, bool]:
    """The innermost line of the plugin, else of nasplug, and whether it is the plugin's.

    Lines of torch and of the checks themselves would not help the author, so they are named only as a last resort.
    """
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "/site-packages/torch/" not in frame.filename
    ]
    outside_checks = [frame for frame in frames if HERE not in Path(frame.filename).parents]
    in_plugin = [frame for frame in outside_checks if HERE.parent not in Path(frame.filename).parents]
    last = (in_plugin or outside_checks or frames)[-1]
    return f"in {last.filename}, line {last.lineno} ({last.name})", bool(in_plugin)
