"""Whole runs on few images and on classes of unequal size."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nasplug.data import load_splits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]

SHORT = (
    *("run", "--method", "random", "--preset", "tiny", "--threads", "1", "--jobs", "1"),
    *("--set", "run.checkpoint_seconds=0.1"),
    *("--set", "retrain.epochs=4", "--set", "retrain.batch_size=8", "--set", "space.nodes=2"),
    *("--set", "space.channels=2", "--set", "select.networks=1", "--set", "retrain.cells=2"),
)


def write_images(path, counts, tests=(), noise=60):
    """Images of 8x8 pixels, each a pattern of its class and noise, and so many of each class for the test."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(40, 216, (len(counts), 8, 8, 1))

    def sample(counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        pixels = patterns[labels] + generator.normal(0, noise, (len(labels), 8, 8, 1))
        return np.clip(pixels, 0, 255).astype(np.uint8), labels

    tensors = dict(zip(("images", "labels"), sample(counts), strict=True))
    if tests:
        tensors |= zip(("test_images", "test_labels"), sample(tests), strict=True)
    save_file(tensors, path)
    return path


def read(run):
    """The result of a run, but for what differs from one run to another."""
    result = json.loads((run / "result.json").read_text())
    return {name: value for name, value in result.items() if name not in ("cost", "checksum")}


def images_of_test(run):
    return load_splits(run / "splits.safetensors").test.tolist()


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images") / "sixty.safetensors", [20, 20, 20])


def test_sixty_images_are_cross_validated_and_a_killed_run_ends_like_another(nasplug, here, sixty, tmp_path):
    words = (*SHORT, "--data", f"arrays:{sixty}", "--set", "data.folds=2", "--set", "select.candidates=2")
    words += ("--set", "select.random=0")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = here(*words, "--jobs", "1", "--out", whole)
    assert done.exit_code == 0, done.output
    assert "cross-validation (data.folds=2): each is trained 2 times" in done.output

    process, deadline = nasplug.start(*words, "--jobs", "2", "--out", broken), time.monotonic() + 300
    while not any(len(path.read_text().splitlines()) >= 5 for path in broken.glob("phases/folds/*/retrain/*/*.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = here("resume", broken)
    assert done.exit_code == 0, done.output

    assert read(whole) == read(broken)
    assert (whole / "events.jsonl").read_text() == (broken / "events.jsonl").read_text()
    for path in whole.glob("weights/*"):
        ours, theirs = load_file(path), load_file(broken / "weights" / path.name)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_every_image_is_validated_once_and_the_kept_network_has_learnt_from_all(here, sixty, tmp_path):
    run = tmp_path / "run"
    words = ("--set", "data.folds=4", "--set", "select.random=1", "--set", "retrain.epochs=2")
    done = here(*SHORT, "--data", f"arrays:{sixty}", *words, "--out", run)
    assert done.exit_code == 0, done.output
    result = read(run)
    assert (result["folds"], result["splits"]) == (4, {"train": 36, "validation": 12, "test": 12})
    for network in result["networks"]:
        role = {"found": "retrain", "random": "baseline"}.get(network["role"], network["role"])
        phases = [run / "phases" / "folds" / f"{number}-of-4" / role / network["id"] for number in range(1, 5)]
        records = [json.loads((phase / "done.json").read_text()) for phase in phases]
        counts = np.array([record["val_counts"]["images"] for record in records])
        assert counts.sum(1).tolist() == [12] * 4
        assert counts.sum(0).tolist() == [16] * 3
        wrong = sum(sum(record["val_counts"]["wrong"]) for record in records)
        assert network["val_error"] == wrong / 48
        assert network["val_standard_error"] == pytest.approx(np.std([r["val_error"] for r in records], ddof=1) / 2)
        final = json.loads((run / "phases" / role / network["id"] / "done.json").read_text())
        assert final["val_error"] is None
        assert sum(images for _, _, images in network["confusion"] or [[0, 0, 12]]) == 12
    steps = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    by_phase = {event["phase"]: event["step"] for event in steps if event["event"] == "step"}
    assert {phase.startswith("folds/"): last for phase, last in by_phase.items()} == {True: 2 * (36 // 8), False: 2 * 6}
    assert "± " in done.output


def test_a_finished_run_is_retrained_with_folds_and_the_same_test_images(here, sixty, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    done = here(*SHORT, "--data", f"arrays:{sixty}", "--set", "retrain.epochs=1", "--out", first)
    assert done.exit_code == 0, done.output
    assert "cross-validation over all 48 that are not for the test (data.folds=5)" in done.output
    assert read(first)["networks"][0]["val_standard_error"] is None
    refused = here("retrain", first, "--set", "data.folds=40", "--out", second)
    assert refused.exit_code == 2
    assert "data.folds=40 is too much for the 48 images" in refused.output
    done = here("retrain", first, "--same-networks", "--set", "data.folds=3", "--out", second)
    assert done.exit_code == 0, done.output
    assert images_of_test(first) == images_of_test(second)
    result = read(second)
    assert result["folds"] == 3
    assert [network["id"] for network in result["networks"]] == [network["id"] for network in read(first)["networks"]]
    assert all(network["val_standard_error"] is not None for network in result["networks"])


def test_a_class_a_hundredth_as_large_is_found_where_training_makes_up_for_it(here, tmp_path):
    images = write_images(tmp_path / "images.safetensors", [1000, 10], (400, 100), noise=80)
    words = ("--set", "select.by=balanced", "--set", "retrain.batch_size=32", "--set", "retrain.augment=none")
    words += ("--set", "select.random=0")
    done = here(*SHORT, "--data", f"arrays:{images}", *words, "--out", tmp_path / "none")
    assert done.exit_code == 0, done.output
    assert "retrain.balance and search.balance (weights or sampling)" in done.output
    assert "balanced accuracy" in done.output
    for balance in ("weights", "sampling"):
        words = ("--same-networks", "--set", f"retrain.balance={balance}", "--out", tmp_path / balance)
        done = here("retrain", tmp_path / "none", *words)
        assert done.exit_code == 0, done.output
    networks = {name: read(tmp_path / name)["networks"][0] for name in ("none", "weights", "sampling")}
    for network in networks.values():
        assert network["selection_error"] == network["balanced_val_error"]
    errors = {name: network["balanced_test_error"] for name, network in networks.items()}
    assert max(errors["weights"], errors["sampling"]) < errors["none"] - 0.1
