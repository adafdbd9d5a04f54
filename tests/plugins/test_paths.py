"""Plugins that are files or folders instead of installed distributions."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from nasplug.cli.environment import plugin_options
from nasplug.errors import InputError
from nasplug.plugins import Settings, load_plugins

FILE = """
from nasplug.engine.plain.keep import Keep
from nasplug.hookspecs import hookimpl

class Thing(Keep):
    number = 1

@hookimpl
def nasplug_register(register):
    register.schedule("toy", "toy_file:Thing", summary="A toy.")
"""
PROJECT = """
[project]
name = "toy-folder"
version = "0.3"
dependencies = ["nasplug>=0.0.1"]

[project.entry-points.nasplug]
toy = "toy_folder.hooks"
"""
HOOKS = """
from nasplug.hookspecs import hookimpl

@hookimpl
def nasplug_register(register):
    register.space("toy", "nasplug.builtin.darts:Darts", summary="A toy.")
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch, install):
    monkeypatch.setattr(sys, "path", list(sys.path))


def file(place: Path, content: str = FILE, name: str = "toy_file.py") -> Path:
    (place / name).write_text(dedent(content))
    return place / name


def folder(place: Path, project: str = PROJECT) -> Path:
    (place / "src" / "toy_folder").mkdir(parents=True)
    (place / "pyproject.toml").write_text(project)
    (place / "src" / "toy_folder" / "__init__.py").touch()
    (place / "src" / "toy_folder" / "hooks.py").write_text(HOOKS)
    return place


def loaded(*paths: Path):
    return load_plugins(Settings(paths=paths))


def test_a_file_is_a_plugin_whose_version_is_its_content(tmp_path):
    first = loaded(file(tmp_path))
    registration = first.find("schedule", "toy")
    kept = first.resolve(registration)

    assert (registration.distribution, registration.qualified) == ("toy_file.py", "toy_file.py:toy")
    assert re.fullmatch(r"[0-9a-f]{12}", registration.version)
    assert loaded(tmp_path / "toy_file.py").resolve(registration) is kept

    changed = loaded(file(tmp_path, FILE.replace("number = 1", "number = 2")))
    assert changed.find("schedule", "toy").version != registration.version
    assert changed.resolve(registration).number == 2


def test_a_file_that_breaks_is_skipped_like_any_plugin(tmp_path, capsys):
    plugins = loaded(file(tmp_path, "import no_such_module"))

    (broken,) = plugins.broken
    assert broken.reason == "ModuleNotFoundError: No module named 'no_such_module' (toy_file.py, line 1)."
    assert f"fix '{tmp_path / 'toy_file.py'}'" in broken.remedy
    assert "toy_file" not in sys.modules
    assert plugins.find("space", "darts")


def test_a_file_does_not_displace_a_module(tmp_path):
    (broken,) = loaded(file(tmp_path, name="json.py")).broken

    assert "There is another module 'json'" in broken.reason


def test_the_folder_of_a_package_is_a_plugin(tmp_path):
    plugins = loaded(folder(tmp_path))
    registration = plugins.find("space", "toy")

    assert (registration.distribution, registration.version) == ("toy-folder", "0.3")
    assert plugins.resolve(registration).__name__ == "Darts"
    assert [plugin.supports for plugin in plugins.all if plugin.name == "toy"] == [">=0.0.1"]


def test_a_folder_takes_the_place_of_what_is_installed(tmp_path, install):
    install("toy-folder", "raise RuntimeError", version="0.1")

    plugins = loaded(folder(tmp_path / "here"))

    assert [plugin.version for plugin in plugins.all if plugin.distribution == "toy-folder"] == ["0.3"]
    assert plugins.broken == []


def test_a_file_whose_folder_is_on_the_import_path_is_no_rival_of_itself(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    assert loaded(file(tmp_path)).broken == []


def test_files_of_one_name_are_refused_by_their_paths(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    paths = [file(tmp_path / name) for name in ("one", "two")]

    first, second = loaded(*paths).broken

    assert first.reason == f"{paths[0]} and {paths[1]} are files of the same name."
    assert second.remedy == "Name one of them only, or rename the other."


def test_the_entry_point_of_a_folder_may_be_an_object(tmp_path):
    place = folder(tmp_path, PROJECT.replace("toy_folder.hooks", "toy_folder.hooks:plugin"))
    (place / "src" / "toy_folder" / "hooks.py").write_text(f"{HOOKS}\nimport sys\nplugin = sys.modules[__name__]\n")

    assert loaded(place).find("space", "toy").distribution == "toy-folder"


def test_a_plugin_named_twice_is_loaded_once(tmp_path):
    path = file(tmp_path)

    assert len(loaded(path, path).find_all("schedule", "toy")) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: place / "missing.py", r"There is no plugin at '.*missing\.py'; name a Python file"),
        (lambda place: file(place, name="my-method.py"), r"must be that of a Python module"),
        (lambda place: place, r"is no package: it has no pyproject\.toml"),
        (lambda place: folder(place, "[project"), r"is not TOML"),
        (lambda place: folder(place, PROJECT.replace('["nasplug>=0.0.1"]', '"nasplug>=9"')), r"a list of dependencies"),
        (lambda place: folder(place, "[project]\nname = 'toy'\nentry-points = 5"), r"describes no plugin"),
        (lambda place: folder(place, "[project]\nname = 'toy'"), r"and a section \[project\.entry-points"),
    ],
)
def test_paths_that_name_no_plugin_are_refused(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        loaded(make(tmp_path))


def test_every_command_takes_a_file_and_leaves_plugins_out(tmp_path, here, monkeypatch):
    path = file(tmp_path)
    monkeypatch.chdir(tmp_path)

    known = here("list", "schedule", "--plugin", "toy_file.py", "--without", "sd-darts,dnad", "--without", "dna")

    assert "toy_file.py" in known.stdout
    assert "dnad" not in here("list", "--without", "nasplug-dnad").stdout
    assert "toy" not in here("list", "schedule").stdout
    assert "NASPLUG_PLUGIN" not in os.environ
    monkeypatch.setenv("NASPLUG_PLUGIN", str(path))
    assert "toy_file.py" in here("list", "schedule").stdout
    assert {option.name for option in plugin_options(runs=False)} == {"plugin_paths", "left_out"}
    assert {option.name for option in plugin_options(runs=True)} == {"plugin_paths", "left_out", "observers"}


def test_a_path_that_the_environment_cannot_hold_is_refused(here, tmp_path):
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")

    for path in ("a:b.py", "", tmp_path / "loop.py"):
        result = here("list", "--plugin", path)
        assert result.exit_code == 2, path
        assert result.stderr.startswith("Error: "), path


INTERRUPTING = """
import os
import signal

from nasplug.engine.plain.keep import Keep
from nasplug.hookspecs import hookimpl
from nasplug.values import Verdict

class Stops(Keep):
    def after_step(self, choices, now):
        os.kill(os.getpid(), signal.SIGINT)
        return Verdict()

@hookimpl
def nasplug_register(register):
    register.schedule("toy", "toy_file:Stops", summary="A toy.")
"""


def test_the_way_on_with_a_stopped_run_names_the_file(here, tmp_path, few_images):
    path, run = file(tmp_path, INTERRUPTING), tmp_path / "run"
    words = ("--method", "darts", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--set", "data.validation=0")
    words += ("--data", f"arrays:{few_images}", "--schedule", "toy")

    stopped = here("run", *words, "--plugin", path, "--out", run)

    assert stopped.exit_code == 130, stopped.output
    assert f"Go on with: nasplug resume {run} --plugin={path}" in stopped.stderr
    refused = here("resume", run)
    assert refused.exit_code == 2
    assert "toy_file.py is now not loaded; name the file as it was then with --plugin toy_file.py" in refused.stderr


BREAKING = """
from nasplug.hookspecs import hookimpl
from nasplug.optimizers import OneLevel

class Breaks(OneLevel):
    def check(self, space, training):
        raise ValueError("bang")

@hookimpl
def nasplug_register(register):
    register.optimizer("toy", "toy_file:Breaks", summary="A toy.")
"""


def test_an_error_in_a_file_is_put_down_to_it(here, tmp_path, few_images, monkeypatch):
    path = file(tmp_path, BREAKING)
    words = ("run", "--method", "darts", "--optimizer", "toy", "--preset", "tiny", "--data", f"arrays:{few_images}")
    words += ("--set", "data.validation=0", "--out", tmp_path / "run", "--jobs", "1", "--threads", "1")

    named = here(*words, "--plugin", path)

    assert named.exit_code == 1
    assert "toy_file.py" in named.stderr
    assert "broke in toy_file.py, line 7 (check): ValueError: bang. Its author has to fix that" in named.stderr
    assert "NASPLUG_PLUGIN" not in os.environ
    monkeypatch.setenv("NASPLUG_PLUGIN", str(path))
    assert here(*words).stderr == named.stderr
