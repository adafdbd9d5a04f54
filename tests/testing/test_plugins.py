"""Checks of the package as such, and of observers: each of them can fail."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from nasplug.testing.check_runner import CheckRunner
from nasplug.testing.checked_package import open_package
from nasplug.testing.checks import CHECKS

pytestmark = pytest.mark.slow

HOOKS = """
from nasplug.hookspecs import hookimpl
@hookimpl
def nasplug_register(register):
    register.space("{name}", "nasplug.testing.toy:Toy", summary="A toy.")
"""
OBSERVER = """
from nasplug.hookspecs import hookimpl
@hookimpl
def nasplug_event(run, event):
"""
SCATTERED = """
import attrs
from nasplug.testing.toy import Toy
from nasplug.parts import Choice

@attrs.define
class Scattered(Toy):
    def choice_list(self):
        names = {"north", "east", "south", "west", "up", "down", "left", "right"}
        return tuple(Choice(name, ("skip", "pool")) for name in names)
"""
PACKAGES = {
    "loads": ("import no_such_module", ">=0.2,<0.3", "No module named 'no_such_module'"),
    "is-listed-without-torch": (f"import torch\n{HOOKS}", ">=0.2,<0.3", "hooks.py, line 1"),
    "states-the-nasplug-it-works-with": (HOOKS, ">=0.2", "its requirement is 'nasplug>=0.2'"),
    "registers-names-of-its-own": (HOOKS.replace("{name}", "darts"), ">=0.2,<0.3", "registered by nasplug "),
    "spaces-are-the-same-in-every-process": (
        HOOKS.replace("nasplug.testing.toy:Toy", "{module}.scattered:Scattered"),
        ">=0.2,<0.3",
        "with two hash seeds the space 'tried4' has",
    ),
}
SLOW = "spaces-are-the-same-in-every-process"
OBSERVERS = {
    "sees-every-event": ("    event['loss']", "KeyError: 'loss'"),
    "sees-events-again-after-a-stop": (
        "    if event['event'] == 'found':\n        (run / 'found.txt').touch(exist_ok=False)",
        "FileExistsError",
    ),
    "sees-the-end-of-every-run": (
        "    pass\n@hookimpl\ndef nasplug_end(run):\n    (run / 'result.json').read_text()",
        "FileNotFoundError",
    ),
    "changes-neither-events-nor-the-run": ("    event['seen'] = True", "'seen' of an event"),
}


@pytest.fixture
def package(tmp_path):
    """Writes a package with a plugin whose module of hooks has this source."""
    before = list(sys.path)

    def write(number: int, source: str, supports: str):
        module = f"nasplug_tried{number}"
        folder = tmp_path / module
        (folder / "src" / module).mkdir(parents=True)
        (folder / "src" / module / "__init__.py").write_text("")
        (folder / "src" / module / "scattered.py").write_text(SCATTERED)
        hooks = source.replace("{name}", f"tried{number}").replace("{module}", module)
        (folder / "src" / module / "hooks.py").write_text(hooks)
        (folder / "pyproject.toml").write_text(
            dedent(f"""
            [project]
            name = "nasplug-tried{number}"
            version = "1.0"
            dependencies = ["nasplug{supports}"]
            [project.entry-points.nasplug]
            tried{number} = "{module}.hooks"
            """)
        )
        return folder

    yield write
    sys.path[:] = before


def failures(path, slow=False):
    """What fails; `slow`: also of the check that starts two processes which import torch."""
    runner = CheckRunner(open_package(path))
    pairs = [
        (check, case)
        for check, case in runner.pairs()
        if case.slot in ("plugin", "observer") and (slow or check.name != SLOW)
    ]
    outcomes = [runner.outcome(*pair) for pair in pairs]
    return {outcome.check: outcome.found for outcome in outcomes if outcome.status == "failed"}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_wrong_with_a_package_fails_its_check_alone(name, package):
    source, supports, found = PACKAGES[name]
    failed = failures(package(list(PACKAGES).index(name), source, supports), slow=name == SLOW)
    assert list(failed) == [name]
    assert found in failed[name]


def test_an_import_of_a_private_module_is_a_warning_that_names_it(package, monkeypatch):
    folder = package(
        len(PACKAGES) + 1, HOOKS.replace("nasplug.testing.toy:Toy", "{module}.scattered:Scattered"), ">=0.2,<0.3"
    )
    source = folder / "src" / f"nasplug_tried{len(PACKAGES) + 1}" / "scattered.py"
    source.write_text(
        f"import nasplug.runs.context\nfrom nasplug.engine import Trainer\nfrom nasplug import search\n{SCATTERED}"
    )
    runner = CheckRunner(open_package(folder))
    (case,) = (case for case in runner.package.cases if case.slot == "plugin")
    outcome = runner.outcome(CHECKS["imports-public-modules"], case)
    assert (outcome.status, outcome.found) == ("warned", "it imports nasplug.engine, nasplug.runs.context")
    source.write_text(SCATTERED)
    outcome = CheckRunner(open_package(folder)).outcome(CHECKS["imports-public-modules"], case)
    assert outcome.status == "passed"


def test_a_sound_package_fails_nothing(package):
    assert failures(package(len(PACKAGES), HOOKS, ">=0.2,<0.3"), slow=True) == {}


@pytest.mark.parametrize("name", OBSERVERS)
def test_what_is_wrong_with_an_observer_fails_its_check(name, tmp_path):
    body, found = OBSERVERS[name]
    path = tmp_path / f"observer_{list(OBSERVERS).index(name)}.py"
    path.write_text(f"{OBSERVER}{body}\n")
    failed = failures(path)
    assert found in failed[name]
    assert list(failed) == [name] or name == "sees-every-event"  # what raises at all cannot be shown anything


def test_a_sound_observer_fails_nothing(tmp_path):
    path = tmp_path / "observer_sound.py"
    path.write_text(f"{OBSERVER}    (run / 'seen.txt').write_text(str(event))\n")
    assert failures(path) == {}


def test_every_check_has_something_that_fails_it():
    named = {
        case.name
        for path in (Path(__file__).parent / "broken").glob("broken_*.py")
        for case in open_package(path).cases
    }
    assert set(CHECKS) <= named | set(PACKAGES) | set(OBSERVERS) | {"imports-public-modules"}  # that one warns
