"""`nasplug new plugin` on the command line."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nasplug.errors import InputError
from nasplug.scaffold import write_package


def test_what_it_prints_can_be_typed(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = here("new", "plugin", "some where/nasplug-wanted", "--kind", "schedule", "--license", "mit")

    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[0].startswith("Wrote the schedule 'wanted' to some where/nasplug-wanted")
    assert "cd 'some where/nasplug-wanted'" in lines
    run = "nasplug run --space darts --method darts --schedule wanted --preset tiny"
    assert f"{run} --plugin 'some where/nasplug-wanted'" in lines
    listed = here(
        *shlex.split(next(line for line in lines if line.startswith("nasplug list")))[1:],
        "--plugin",
        "some where/nasplug-wanted",
    )
    assert "wanted" in listed.output
    assert "nasplug-wanted" in listed.output


def test_the_default_is_a_method_under_the_apache_licence(here, tmp_path):
    done = here("new", "plugin", tmp_path / "nasplug-fresh", "--author", "Ann")

    assert "nasplug run --method fresh --preset tiny" in done.output
    assert "Apache License" in (tmp_path / "nasplug-fresh" / "LICENSE").read_text()
    assert 'authors = [{ name = "Ann" }]' in (tmp_path / "nasplug-fresh" / "pyproject.toml").read_text()


def test_a_package_of_several_kinds_is_listed_by_each_of_them(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = here("new", "plugin", "nasplug-pair", "--kind", "space", "--kind", "schedule")

    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[0].startswith("Wrote the space and schedule 'pair' to nasplug-pair")
    assert {"nasplug list space", "nasplug list schedule"} <= set(lines)
    assert "nasplug run --method darts --space pair --preset tiny --plugin nasplug-pair" in lines
    assert "nasplug run --space darts --method darts --schedule pair --preset tiny --plugin nasplug-pair" in lines


def test_the_present_folder_will_do_if_it_is_empty(here, tmp_path, monkeypatch):
    (tmp_path / "nasplug-inside").mkdir()
    monkeypatch.chdir(tmp_path / "nasplug-inside")

    done = here("new", "plugin", ".", "--kind", "observer")

    assert done.exit_code == 0, done.output
    assert Path("src/nasplug_inside/hooks.py").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["nasplug-inside"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nasplug-darts", "--kind", "space"], "The search space 'darts' is registered by nasplug "),
        (["bilevel"], "The architecture optimizer 'bilevel' is registered by nasplug "),
        (["snps", "--kind", "teacher"], "There is a plugin 'snps' of nasplug-snps "),
        (["sd.darts", "--kind", "space"], "There is a plugin 'sd-darts' of nasplug-sd-darts "),
        (["builtin", "--kind", "observer"], "There is a plugin 'builtin' of nasplug "),
        (["Mine"], "Try mine"),
        (["mine", "--author", "Ann\nOther"], "The author must be a name on one line"),
        (["full"], "exists already and is not empty"),
        (["full/file"], "'full/file' exists already;"),
        (["full/file/mine"], "cannot be written: Not a directory"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left_behind(here, tmp_path, monkeypatch, words, reason):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    monkeypatch.chdir(tmp_path)

    done = here("new", "plugin", *words)

    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert reason in done.output
    assert sorted(map(str, tmp_path.rglob("*"))) == [str(tmp_path / "full"), str(tmp_path / "full" / "file")]


def test_what_two_dots_take_back_is_not_made(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = here("new", "plugin", "first/../mine", "--kind", "observer")

    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert f"cd {tmp_path / 'mine'}" in done.output


def test_the_home_directory_is_known_where_no_shell_names_it(here, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    done = here("new", "plugin", "~/mine", "--kind", "observer", "--author", "   ")

    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert "authors" not in (tmp_path / "mine" / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("asked", "reason"), [("gone", "No such file or directory"), ("~nobody-of-this-name/mine", "home directory")]
)
def test_a_path_that_leads_nowhere_is_refused(here, tmp_path, monkeypatch, asked, reason):
    (tmp_path / "left").mkdir()
    monkeypatch.chdir(tmp_path / "left")
    (tmp_path / "left").rmdir()

    done = here("new", "plugin", asked)

    assert done.exit_code == 2
    assert f"'{asked}' leads nowhere: " in done.output
    assert reason in done.output


def test_a_loop_of_links_is_refused(here, tmp_path):
    (tmp_path / "loop").symlink_to("loop")

    done = here("new", "plugin", tmp_path / "loop")

    assert done.exit_code == 2
    assert done.output.startswith("Error: ")


def test_a_package_that_cannot_be_written_whole_is_not_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_package(tmp_path / "deep" / "mine", {"first": "", "first/second": ""})

    assert not list(tmp_path.iterdir())
