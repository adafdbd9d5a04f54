"""What pytest sees of a contract, and what `nasplug check` prints of it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from nasplug.testing import PluginContract
from nasplug.testing.check_runner import CheckRunner
from nasplug.testing.checked_package import open_package
from nasplug.testing.checks import CHECKS
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable

PART = """
import attrs
from nasplug.hookspecs import hookimpl
from nasplug.parts import PruningSchedule, option
from nasplug.values import Verdict

@attrs.define
class Idle(PruningSchedule):
    pace: float = option(0.5, {summary!r}, at_least=0)

    def after_step(self, choices, now):
        return Verdict()

@hookimpl
def nasplug_register(register):
    register.schedule("idle", "{module}:Idle", summary="Deletes nothing.")
"""


PICKY = """
import attrs
from nasplug.errors import InputError
from nasplug.hookspecs import hookimpl
from nasplug.optimizers import Bilevel
from nasplug.values import Method

@attrs.define
class Picky(Bilevel):
    def check(self, space, training):
        if space.name == "toy":
            raise InputError("The optimizer picky needs more than two choices.")

METHOD = Method("picky", space="nb201", optimizer="picky", presets={"laptop": {"optimizer": {"alpha_lr": 0.1}}})

@hookimpl
def nasplug_register(register):
    register.optimizer("picky", "MODULE:Picky", summary="Refuses the toy space.")
"""


@pytest.fixture
def sound(tmp_path) -> Path:
    path = tmp_path / "plugin_sound.py"
    path.write_text(PART.format(module="plugin_sound", summary="does nothing"))
    return path


@pytest.fixture
def flawed(tmp_path) -> Path:
    path = tmp_path / "plugin_flawed.py"
    path.write_text(PART.format(module="plugin_flawed", summary=""))
    return path


def collected(contract: type[PluginContract]):
    """The tests of a contract by their ids, as functions."""
    checks = {}

    def parametrize(name, values, ids):
        checks.update(zip(ids, values, strict=True))

    contract().pytest_generate_tests(SimpleNamespace(fixturenames=["run_one_check"], parametrize=parametrize))
    return {name: partial(contract().test_contract, run_one_check) for name, run_one_check in checks.items()}


def contract(**fields) -> type[PluginContract]:
    return type("TestContract", (PluginContract,), fields)


def test_each_check_of_each_thing_is_a_test_with_a_name(sound):
    tests = collected(contract(plugin=sound))
    assert "schedule idle: goes on exactly after a stop" in tests
    assert "plugin plugin_sound: loads" in tests
    tests["schedule idle: describes its options"]()
    with pytest.raises(pytest.skip.Exception, match="not applicable: a single file holds"):
        tests["plugin plugin_sound: is listed without torch"]()


def test_a_file_beside_the_test_that_names_it_can_be_checked(sound, monkeypatch):
    monkeypatch.syspath_prepend(sound.parent)  # as pytest does with the folder of a test file
    importlib.import_module(sound.stem)

    tests = collected(contract(plugin=sound))

    tests["plugin plugin_sound: loads"]()
    tests["schedule idle: is what its slot asks for"]()


def test_a_failure_says_what_was_asked_what_was_found_and_what_fixes_it(flawed):
    with pytest.raises(pytest.fail.Exception) as failure:
        collected(contract(plugin=flawed))["schedule idle: describes its options"]()
    assert "asked: Every option has a type and a sentence that says what it means." in str(failure.value)
    assert "found: nothing says what option 'pace' means." in str(failure.value)
    assert "fix:   declare it with nasplug.parts.option" in str(failure.value)


def test_a_waived_check_is_skipped_with_the_reason(flawed):
    tests = collected(contract(plugin=flawed, waivers={"describes-its-options": "the name says it"}))
    with pytest.raises(pytest.skip.Exception, match="waived: the name says it"):
        tests["schedule idle: describes its options"]()
    tests["waiver: describes-its-options"]()


def test_a_waiver_that_excuses_nothing_fails(sound):
    tests = collected(contract(plugin=sound, waivers={"describes-its-options": "the name says it"}))
    with pytest.raises(pytest.fail.Exception, match="not needed any more"):
        tests["waiver: describes-its-options"]()


def test_a_waiver_of_one_thing_does_not_excuse_another(flawed):
    tests = collected(contract(plugin=flawed, waivers={"describes-its-options: schedule idle": "the name says it"}))
    with pytest.raises(pytest.skip.Exception, match="waived: the name says it"):
        tests["schedule idle: describes its options"]()
    tests["waiver: describes-its-options: schedule idle"]()
    runner = CheckRunner(open_package(flawed), {"describes-its-options: schedule idle": "the name says it"})
    (case,) = (case for case in runner.package.cases if case.title == "schedule idle")
    other = attrs.evolve(case, name="other")
    assert runner.outcome(CHECKS["describes-its-options"], case).status == "waived"
    assert runner.outcome(CHECKS["describes-its-options"], other).status == "failed"


def test_a_waiver_of_one_option_does_not_excuse_another(tmp_path):
    path = tmp_path / "plugin_twice.py"
    second = "    depth: int = option(1, '', at_least=0)\n\n    def after_step"
    path.write_text(PART.format(module="plugin_twice", summary="").replace("    def after_step", second))
    pace, depth = (f"describes-its-options: schedule idle.{option}" for option in ("pace", "depth"))

    def found(waivers):
        runner = CheckRunner(open_package(path), waivers)
        (case,) = (case for case in runner.package.cases if case.slot == "schedule")
        needed = [runner.check_waiver(name).status for name in waivers]
        outcome = runner.outcome(CHECKS["describes-its-options"], case)
        return outcome.status, outcome.found, needed

    assert found({pace: "it is"}) == ("failed", "nothing says what option 'depth' means", ["passed"])
    assert found({pace: "it is", depth: "so it is"}) == ("waived", "pace: it is, depth: so it is", ["passed", "passed"])
    path.write_text(path.read_text().replace("option(0.5, ''", "option(0.5, 'how fast'"))
    assert found({pace: "it is", depth: "so it is"})[2] == ["failed", "passed"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"waivers": {"loads: schedule idle.pace": "x"}}, "check of single options such as 'pace' called 'loads'"),
        ({"waivers": {"describes-its-options: schedule idle.paces": "x"}}, "Did you mean 'schedule idle'"),
        ({"waivers": {"describes-its-options: schedule idles": "x"}}, "Did you mean 'schedule idle'"),
        ({"waivers": {"describe-its-options": "x"}}, "Did you mean 'describes-its-options'"),
        ({"waivers": {"describes-its-options": " "}}, "needs a reason"),
        ({"plugin": "nasplug-nowhere"}, "Known: nasplug"),
        ({"plugin": None}, "names no plugin"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, words, sound):
    with pytest.raises(pytest.fail.Exception, match=words):
        collected(contract(**{name: value for name, value in {"plugin": sound, **fields}.items() if value is not None}))


def test_the_options_of_the_author_are_those_that_are_tried(sound):
    cases = open_package(sound, {"schedule idle": {"pace": -1.0}}).cases
    (case,) = (case for case in cases if case.slot == "schedule")
    with pytest.raises(ValueError, match="must be at least 0"):
        CHECKS["builds-from-its-defaults"].function(case)


def _picky(path, more=""):
    path.write_text(PICKY.replace("MODULE", path.stem) + more)
    package = open_package(path)
    (case,) = (case for case in package.cases if case.slot == "optimizer")
    return CheckRunner(package), case


def test_a_part_that_refuses_its_partners_is_believed(tmp_path):
    runner, case = _picky(tmp_path / "plugin_picky.py")
    outcome = runner.outcome(CHECKS["searches-to-its-end"], case)
    assert outcome.status == "not applicable"
    assert outcome.found.endswith("The optimizer picky needs more than two choices")
    assert runner.outcome(CHECKS["refuses-bad-options-in-a-sentence"], case).status == "passed"


def test_what_refuses_the_toy_space_is_checked_in_that_of_its_packages_method(tmp_path):
    register = '    register.method("picky", "plugin_method:METHOD", summary="Searches elsewhere.")\n'
    _, case = _picky(tmp_path / "plugin_method.py", register)
    assert type(case.once(plan).space).__name__ == "NasBench201"
    assert case.once(plan).parts().optimizer.alpha_lr == 0.1


def test_what_fails_once_leaves_other_checks_nothing_to_look_at(sound):
    case = open_package(sound).cases[1]
    calls = []

    def broken(_):
        calls.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        case.once(broken)
    with pytest.raises(NotApplicable):
        case.once(broken)
    assert calls == [1]


def test_every_check_says_what_it_asks_and_which_mistake_it_stands_for():
    for check in CHECKS.values():
        assert len(check.summary) > 20, check.name
        assert len(check.story) > 20, check.name
        assert "\n" not in check.summary


def test_the_command_prints_a_line_for_each_check_and_fails_where_one_does(here, sound, flawed):
    done = here("check", sound)
    assert done.exit_code == 0
    assert "pass   schedule idle: goes-on-exactly-after-a-stop\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("plugin_sound.py ")
    done = here("check", flawed)
    assert done.exit_code == 1
    assert "FAIL   schedule idle: describes-its-options\n" in done.stdout
    assert "  found: nothing says what option 'pace' means." in done.stdout
    done = here("check", flawed, "--waive", "describes-its-options=the name says it", "--json")
    assert done.exit_code == 0
    outcomes = json.loads(done.stdout)["checks"]
    checks = {outcome["check"]: outcome for outcome in outcomes if outcome["title"] != "waiver"}
    assert checks["describes-its-options"]["status"] == "waived"
    assert checks["describes-its-options"]["found"] == "the name says it"


@pytest.mark.parametrize(
    "words", [("nasplug-nowhere",), ("nasplug", "--waive", "loads"), ("nasplug", "--waive", "x=y")]
)
def test_the_command_refuses_what_makes_no_sense(here, words):
    done = here("check", *words)
    assert done.exit_code == 2
    assert done.stdout == ""


def test_the_help_of_the_command_does_not_import_torch():
    code = "import sys; from nasplug.testing.command import check; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
