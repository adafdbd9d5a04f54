"""Every check can fail: for each there is a part, named after it, that fails this check.

A check that looks at several things has several parts that fail it, "CHECK.WORD".
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.testing.check_runner import CheckRunner
from nasplug.testing.checked_package import open_package
from nasplug.testing.checks import CHECKS


def _check_of(case):
    """The name of the check that a part is there to fail."""
    return case.name.partition(".")[0]


FILES = sorted((Path(__file__).parent / "broken").glob("broken_*.py"))
RUNNERS = [CheckRunner(open_package(path)) for path in FILES]
CONSEQUENCES = {
    "sees-new-images-in-every-step": {"ranks-the-best-operation-first"},  # alpha has learnt nothing
    # Where stages are saved, too.
    "stages-survive-saving": {"goes-on-exactly-after-a-stop", "goes-on-exactly-after-stops-at-every-step"},
    "schedule goes-on-exactly-after-a-stop.hidden": {"goes-on-exactly-after-stops-at-every-step"},
    "schedule one-seed-gives-one-result": {"goes-on-exactly-after-stops-at-every-step"},  # which searches twice, too
    "optimizer goes-on-exactly-after-a-stop": {"replays-as-it-computes"},  # what a module counts is not replayed
}
INSTEAD = {"leaves-as-many-as-a-genotype-needs": {"searches-to-its-end"}}
"""What fails in a package as a whole where a search with the part breaks before its own check has seen it."""
BROKEN = [(runner, case) for runner in RUNNERS for case in runner.package.cases if _check_of(case) in CHECKS]


def titles(pairs):
    return [case.title for _, case in pairs]


@pytest.mark.parametrize(("runner", "case"), BROKEN, ids=titles(BROKEN))
def test_what_is_broken_fails_its_check(runner, case):
    outcome = runner.outcome(CHECKS[_check_of(case)], case)
    assert outcome.status == "failed", outcome
    assert outcome.found
    assert outcome.remedy


@pytest.mark.matrix
@pytest.mark.parametrize(("runner", "case"), BROKEN, ids=titles(BROKEN))
def test_and_no_other(runner, case):
    outcomes = [runner.outcome(check, other) for check, other in runner.pairs() if other is case]
    name = _check_of(case)
    expected = INSTEAD.get(name, {name} | CONSEQUENCES.get(name, set()) | CONSEQUENCES.get(case.title, set()))
    assert {outcome.check: outcome.found for outcome in outcomes if outcome.status == "failed"}.keys() == expected
