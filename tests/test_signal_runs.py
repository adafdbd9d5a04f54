"""Whole runs on signals, and what of a run is for images alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nasplug as package
from nasplug.results.export import open_export
from nasplug.results.prediction import predict

SHORT = (
    *("run", "--preset", "tiny", "--threads", "1", "--jobs", "1", "--set", "select.networks=1"),
    *("--set", "select.random=0", "--set", "select.references="),
    *("--set", "retrain.epochs=1", "--set", "search.epochs=1"),
)


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """120 signals of two channels and 24 samples: waves of three lengths in noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    times = np.arange(24)[None, None] + generator.uniform(0, 24, (120, 2, 1))
    signals = np.sin(times * np.array([0.4, 0.8, 1.6])[labels, None, None]) + generator.normal(0, 0.2, (120, 2, 24))
    path = tmp_path_factory.mktemp("signals") / "waves.npz"
    np.savez(path, signals=signals.astype(np.float32), labels=labels)
    return path


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize("method", ["darts", "dna", "dnad"])
def test_a_run_on_signals_leaves_a_network_that_answers_to_them(here, waves, tmp_path, method):
    run = tmp_path / "run"
    done = here(*SHORT, "--method", method, "--data", f"signals:{waves}", "--out", run)
    assert done.exit_code == 0, done.output
    (found,) = (each for each in json.loads((run / "result.json").read_text())["networks"] if each["role"] == "found")
    assert 0 <= found["test_error"] <= 1
    signals = np.load(waves)["signals"][:4]
    answers = package.load(run).best().predict(signals)
    assert answers.shape == (4, 3)
    file = tmp_path / "network.onnx"
    done = here("export", run, "--format", "onnx", "--out", file)
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(predict(open_export(file), signals), answers, atol=1e-4)
    done = here("predict", run, waves, "--json")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--space", "nb201"), "The space 'nb201' builds networks for images, and the data set"),
        (("--set", "retrain.augment=autoaugment"), "retrain.augment=autoaugment is for images"),
        (("--set", "search.random_erasing=0.1"), "search.random_erasing is for images"),
        (("--set", "retrain.color_jitter=[0.1,0,0,0]"), "retrain.color_jitter is for images"),
    ],
)
def test_what_is_for_images_is_refused_for_signals(here, waves, tmp_path, words, sentence):
    done = here(*SHORT, "--method", "darts", *words, "--data", f"signals:{waves}", "--out", tmp_path / "run")
    assert done.exit_code == 2, done.output
    assert sentence in done.output
    assert not (tmp_path / "run").exists()
