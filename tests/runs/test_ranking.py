from __future__ import annotations

import pytest

from nasplug.compose import resolve
from nasplug.plugins import load_plugins
from nasplug.runs.create import start
from nasplug.runs.ranking import ranking_recipe

PLUGINS = load_plugins()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    layer = {
        "space": {"part": "nb201", "cells": 1, "channels": 2},
        "run": {"method": "random", "preset": "tiny", "threads": 1, "jobs": 1, "device": "cpu"},
        "retrain": {"epochs": 20, "lr_warmup": 2.0},
    }
    return start(tmp_path_factory.mktemp("runs") / "run", PLUGINS, resolve(PLUGINS, [layer]), []).folder


def test_a_sample_is_trained_as_the_run_retrains(run):
    retrain = ranking_recipe(PLUGINS, run, {}).retrain
    assert (retrain.epochs, retrain.lr_warmup, retrain.lr_interval) == (20, 2.0, "epoch")


@pytest.mark.parametrize(("epochs", "interval"), [(2, "step"), (40, "epoch")])
def test_over_other_epochs_the_learning_rate_falls_as_in_the_run(run, epochs, interval):
    retrain = ranking_recipe(PLUGINS, run, {"retrain": {"epochs": epochs}}).retrain
    assert (retrain.epochs, retrain.lr_warmup, retrain.lr_interval) == (epochs, pytest.approx(epochs / 10), interval)
