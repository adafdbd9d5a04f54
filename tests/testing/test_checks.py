"""Every check can fail: for each there is a part, named after it, that fails this check."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.testing.checks import CHECKS
from nasplug.testing.examination import Examination
from nasplug.testing.subject import open_subject

FILES = sorted((Path(__file__).parent / "broken").glob("broken_*.py"))
EXAMINATIONS = [Examination(open_subject(path)) for path in FILES]
CONSEQUENCES = {
    "sees-new-images-in-every-step": {"ranks-the-best-operation-first"},  # alpha has learnt nothing
    "stages-survive-saving": {"goes-on-exactly-after-a-stop"},  # where stages are saved, too
}
BROKEN = [(one, case) for one in EXAMINATIONS for case in one.subject.cases if case.name in CHECKS]


def titles(pairs):
    return [case.title for _, case in pairs]


@pytest.mark.parametrize(("examination", "case"), BROKEN, ids=titles(BROKEN))
def test_what_is_broken_fails_its_check(examination, case):
    outcome = examination.outcome(CHECKS[case.name], case)
    assert outcome.status == "failed", outcome
    assert outcome.found
    assert outcome.remedy


@pytest.mark.matrix
@pytest.mark.parametrize(("examination", "case"), BROKEN, ids=titles(BROKEN))
def test_and_no_other(examination, case):
    outcomes = [examination.outcome(check, each) for check, each in examination.pairs() if each is case]
    expected = {case.name} | CONSEQUENCES.get(case.name, set())
    assert {one.check: one.found for one in outcomes if one.status == "failed"}.keys() == expected
