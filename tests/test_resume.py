"""Runs that are killed, stopped or break go on where they stood."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

# Many processes that import torch, on machines that may be busy: generous, since only a hang should count.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]

SHORT = (
    *("run", "--method", "dnad", "--preset", "tiny", "--threads", "1", "--set", "run.checkpoint_seconds=0.1"),
    *("--set", "search.batch_size=8", "--set", "retrain.batch_size=8", "--set", "select.networks=1"),
    *("--set", "space.nodes=2", "--set", "space.channels=2", "--set", "retrain.channels=2"),
    *("--epochs", "4", "--set", "retrain.epochs=4", "--set", "teacher.epochs=3", "--set", "data.validation=0"),
)
"""Some thirty steps in each phase, on few images."""
EVERYWHERE = (("teacher", 12), ("search", 9), ("search", 20), ("retrain", 14), ("baseline", 3))
"""Phases in which a run is killed, and after how many events of the phase."""


def _events(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _wait(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the phase to be killed was never reached"
        time.sleep(0.01)


def _beyond(run: Path, phase: str, events: int):
    """Whether a phase has a checkpoint and that many events."""
    if phase in ("teacher", "search"):
        lines = [line for line in _events(run / "events.jsonl") if json.loads(line)["phase"] == phase]
        return len(lines) >= events and (run / "phases" / phase / "checkpoint.safetensors").exists()
    return any(len(_events(path)) >= events for path in run.glob(f"phases/{phase}/**/events.jsonl"))


def _state(run: Path):
    """All that two equal runs share: weights, genotypes, events and results without their times."""
    weights = {path.name: load_file(path) for path in run.glob("weights/*")}
    weights |= {str(path.relative_to(run)): load_file(path) for path in run.glob("phases/search/*.safetensors")}
    result = json.loads((run / "result.json").read_text())
    result.pop("cost")
    result.pop("checksum")  # of the costs, too
    genotypes = {path.name: path.read_text() for path in run.glob("genotypes/*")}
    return weights, _events(run / "events.jsonl"), result, genotypes


def _kill_and_resume(nasplug, here, words, run, kills, plugin=()):
    """A run that is killed in each of these phases, after so many events, and resumed to its end."""
    words = (*words, "--out", str(run))
    for phase, events in kills:
        process = nasplug.start(*words)
        _wait(lambda phase=phase, events=events: _beyond(run, phase, events), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        words = ("resume", str(run), *plugin)
    done = here(*words)
    assert done.exit_code == 0, done.output


def _assert_equal(whole: Path, broken: Path) -> None:
    expected, actual = _state(whole), _state(broken)
    assert expected[1:] == actual[1:]
    assert expected[0].keys() == actual[0].keys()
    for name, tensors in expected[0].items():
        for key, value in tensors.items():
            assert np.array_equal(value, actual[0][name][key], equal_nan=True), (name, key)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("jobs", "kills"),
    [
        pytest.param(2, (("search", 20), ("retrain", 14)), id="twice"),
        pytest.param(2, EVERYWHERE, id="everywhere", marks=pytest.mark.full),
        pytest.param(1, EVERYWHERE, id="everywhere, one job", marks=pytest.mark.full),
    ],
)
def test_a_run_that_was_killed_ends_like_one_that_was_not(nasplug, here, few_images, tmp_path, jobs, kills):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    short = (*SHORT, "--data", f"arrays:{few_images}")
    done = here(*short, "--jobs", "1", "--out", whole)  # what runs at once changes nothing about the outcome
    assert done.exit_code == 0, done.output

    _kill_and_resume(nasplug, here, (*short, "--jobs", str(jobs)), broken, kills)
    _assert_equal(whole, broken)


@pytest.mark.full
def test_images_in_files_are_read_as_before_after_a_kill_whoever_decodes_them(nasplug, here, tmp_path):
    """Random crops of originals, whether these are kept in memory or decoded each time in processes of processes."""
    whole, broken, random = tmp_path / "whole", tmp_path / "broken", np.random.default_rng(0)
    for number in range(90):
        path = tmp_path / "photos" / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (10, 14, 3), dtype=np.uint8)).save(path)
    options = ("search.augment=imagenet", "retrain.augment=imagenet", "run.measure_every=0")
    words = (*SHORT, "--data", f"folder:{tmp_path / 'photos'}")
    words += tuple(word for option in options for word in ("--set", option))
    done = here(*words, "--jobs", "1", "--set", "data.crops=original", "--set", "data.workers=0", "--out", whole)
    assert done.exit_code == 0, done.output
    assert "Images are scaled to 8 x 8 pixels (data.size; " in done.output
    assert "images/s" in done.output
    recipe = tomllib.loads((whole / "recipe.toml").read_text())
    assert recipe["data"]["size"] == json.loads((whole / "result.json").read_text())["data"]["size"] == 8

    words += ("--jobs", "2", "--set", "data.memory=0", "--set", "data.workers=1")
    _kill_and_resume(nasplug, here, words, broken, (("search", 10), ("retrain", 14)))
    _assert_equal(whole, broken)


@pytest.mark.timeout(900)
def test_a_space_from_a_network_of_ones_own_is_built_again_from_its_file(nasplug, here, few_images, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plugin = ("--plugin", str(Path(__file__).parents[1] / "examples" / "my_resnet.py"))
    options = (
        "space.channels=2",
        "search.batch_size=8",
        "retrain.batch_size=8",
        "retrain.epochs=4",
        "retrain.widths=[]",
    )
    options += ("data.validation=0", "run.checkpoint_seconds=0.1", "run.measure_every=0", "select.networks=1")
    words = ("run", *plugin, "--space", "my-resnet", "--method", "snps", "--preset", "tiny", "--threads", "1")
    words += ("--epochs", "4", "--data", f"arrays:{few_images}")
    words += tuple(word for option in options for word in ("--set", option))
    done = here(*words, "--jobs", "1", "--out", whole)
    assert done.exit_code == 0, done.output
    _kill_and_resume(nasplug, here, words, broken, (("search", 20), ("retrain", 14)), plugin)
    _assert_equal(whole, broken)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_distilled_candidates_and_networks_are_those_of_one_job_after_a_kill(nasplug, here, tmp_path):
    whole, broken, images = tmp_path / "whole", tmp_path / "broken", tmp_path / "images.safetensors"
    pixels = np.random.default_rng(0).integers(0, 256, (800, 6, 6, 1), dtype=np.uint8)
    save_file({"images": pixels, "labels": np.arange(800) % 4}, images)  # enough to hold some out, as tournaments do
    options = ("retrain.distil=0.7", "select.candidates=2", "select.rung=0.5", "data.validation=0.1")
    options += ("search.batch_size=64", "retrain.batch_size=32", "select.references=['resnet8']")
    options += ("search.epochs=1", "teacher.epochs=1", "select.random=0", "run.measure_every=0")
    short = (*SHORT, "--data", f"arrays:{images}", *(word for option in options for word in ("--set", option)))
    done = here(*short, "--jobs", "1", "--out", whole)
    assert done.exit_code == 0, done.output
    assert json.loads((whole / "result.json").read_text())["distillation"]["weight"] == 0.7

    _kill_and_resume(nasplug, here, (*short, "--jobs", "2"), broken, (("tournament", 5), ("retrain", 14)))
    _assert_equal(whole, broken)


@pytest.mark.timeout(900)
def test_a_run_with_a_pretrained_teacher_that_was_killed_needs_its_weights_no_more(nasplug, here, few_images, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    weights, whole, broken = tmp_path / "weights.pth", tmp_path / "whole", tmp_path / "broken"
    torch.save(timm.create_model("test_resnet").state_dict(), weights)
    options = ("run.teacher_from=timm:test_resnet", f"run.teacher_weights={weights}", "run.teacher_resolution=16")
    options += (
        "retrain.distil=0.5",
        "select.random=0",
        "select.references=[]",
        "search.epochs=1",
        "retrain.epochs=1",
        "teacher.epochs=2",
        "run.measure_every=0",
    )
    short = (*SHORT, "--data", f"arrays:{few_images}", "--jobs", "1")
    short += tuple(word for option in options for word in ("--set", option))
    done = here(*short, "--out", whole)
    assert done.exit_code == 0, done.output
    assert not list(whole.glob("phases/teacher/pretrained*"))

    process = nasplug.start(*short, "--out", broken)
    _wait(lambda: _beyond(broken, "teacher", 6), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    weights.unlink()
    done = here("resume", broken)
    assert done.exit_code == 0, done.output
    _assert_equal(whole, broken)
    same = [load_file(run / "phases" / "teacher" / "network.safetensors") for run in (whole, broken)]
    assert all(np.array_equal(value, same[1][name]) for name, value in same[0].items())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_stops_a_run_and_says_how_to_go_on(nasplug, few_images, tmp_path, number, code):
    run = tmp_path / "run"
    words = (*SHORT[:1], "--data", f"arrays:{few_images}", *SHORT[1:-4], "--set", "data.validation=0")
    process = nasplug.start(*words, "--method", "snps", "--epochs", "60", "--out", str(run))
    _wait(lambda: len(_events(run / "events.jsonl")) > 3, process)
    process.send_signal(number)
    _, errors = process.communicate()

    assert process.returncode == code
    assert f"nasplug resume {run}" in errors
    assert "Traceback" not in errors
    assert json.loads((run / "result.json").read_text())["status"] == "stopped"


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_checkpoint(here, few_images, tmp_path):
    run = tmp_path / "run"
    words = ("run", "--method", "darts", "--preset", "tiny", "--set", "search.lr=1e30", "--set", "search.clip=0")
    words += ("--data", f"arrays:{few_images}", "--set", "data.validation=0", "--set", "search.batch_size=8")
    done = here(*words, "--set", "run.checkpoint_seconds=0", "--out", run)

    assert done.exit_code == 1
    assert "at step" in done.stderr
    assert "Traceback" not in done.stderr
    assert (run / "phases" / "search" / "checkpoint.safetensors").exists()
    assert json.loads((run / "result.json").read_text())["status"] == "failed"


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_later(nasplug, here, few_images, tmp_path):
    run = tmp_path / "run"
    words = ("run", "--method", "snps", "--preset", "tiny", "--epochs", "2", "--set", "select.networks=1")
    words += ("--set", "retrain.epochs=1", "--set", "run.checkpoint_seconds=0", "--jobs", "1")
    words += ("--set", "run.measure_every=0")
    words += ("--data", f"arrays:{few_images}", "--set", "data.validation=0", "--set", "search.batch_size=8")

    def small_disk() -> None:
        # No file may grow beyond this: the events soon do, as they would on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = nasplug(*words, "--out", run, preexec_fn=small_disk)
    assert done.returncode == 1, done.stderr
    assert "at step" in done.stderr or "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr

    done = here("resume", run)
    assert done.exit_code == 0, done.output
    assert json.loads((run / "result.json").read_text())["status"] == "done"
