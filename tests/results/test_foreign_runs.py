"""A run folder that somebody else made, or changed on purpose: its checksums are right."""

from __future__ import annotations

import json
import shutil

import pytest

import nasplug
from nasplug.errors import InputError
from nasplug.store.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]
NASTY = "\x1b]0;title\x07\x1b[2J\u202e"


@pytest.fixture
def run(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    return tmp_path / "run"


def change(run, change):
    result = json.loads((run / "result.json").read_text())
    change(result)
    RunFolder(run).write_result(result)


def best_of(run):
    return json.loads((run / "result.json").read_text())["best"]


@pytest.mark.parametrize(("entry", "value"), [("id", "../../x"), ("weights", "../other"), ("genotype", "/etc/passwd")])
def test_nothing_outside_the_folder_is_read_or_written(run, here, entry, value):
    change(run, lambda result: result["networks"][0].update({entry: value}))

    done = here("export", run, "--format", "safetensors")

    assert done.exit_code == 2
    assert f"'{entry}' must be " in done.stderr
    assert not list(run.parent.glob("x*"))


def test_weights_of_another_network_are_refused(run):
    result = nasplug.load(run)
    first, second = result.networks[:2]
    shutil.copy(second.weights, first.weights)
    with pytest.raises(InputError, match=f"is not of the network '{first.id}'.*nasplug retrain"):
        first.network()
    assert second.network() is not None


def test_a_genotype_of_another_network_is_refused(run):
    first, second = nasplug.load(run).networks[:2]
    shutil.copy(run / second.record["genotype"], run / first.record["genotype"])
    for read in (lambda: first.genotype, first.network, first.classifier):
        with pytest.raises(InputError, match=f"is not of the network '{first.id}'.*nasplug resume"):
            read()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.html", "exports", "phases/search/done.json.draft"])
def test_links_in_a_run_are_not_written_through(run, here, name):
    outside = run.parent / "outside"
    outside.mkdir()
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside)
    for words in (("report", run), ("resume", run), ("retrain", run), ("export", run, "--format", "safetensors")):
        done = here(*words)
        assert done.exit_code == 2
        assert "is a symbolic link" in done.stderr
    assert list(outside.iterdir()) == []


def test_a_run_folder_may_itself_be_a_link(run, here):
    run.with_name("link").symlink_to(run)
    assert here("export", run.with_name("link"), "--format", "safetensors").exit_code == 0
    assert (run / "exports" / f"{best_of(run)}.safetensors").is_file()


@pytest.mark.slow
def test_names_with_control_characters_are_shown_as_escapes(run, here, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def rename(result):
        result["dataset"] = f"folder:{NASTY}"
        result["data"]["classes"][0] = NASTY

    change(run, rename)
    for words in (("show", run), ("compare", run), ("report", run)):
        done = here(*words)
        assert done.exit_code == 0, done.output
        assert not set(done.output) & set(NASTY[:-1]) - set("]0;title[2J"), words
        assert "\u202e" not in done.output
    for page in (run / "report.html", tmp_path / "compare.html"):
        text = page.read_text()
        assert "Content-Security-Policy" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert r"\x1b]0;title" in text
