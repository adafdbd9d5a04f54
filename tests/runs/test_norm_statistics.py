"""Networks whose training was too short for running averages get statistics that fit their weights."""

from __future__ import annotations

import json
from random import Random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import nasplug.engine.norm_statistics
from nasplug.compose import resolve
from nasplug.errors import RunFailure
from nasplug.plugins import load_plugins
from nasplug.runs import norm_statistics
from nasplug.runs.create import start
from nasplug.runs.norm_statistics import measure_norms, norm_batches
from nasplug.runs.retrain import make_network_trainer, train_task
from nasplug.runs.summary import write_result
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask
from nasplug.store.checkpoint import load_checkpoint
from nasplug.store.events import Journal, ignore_event
from nasplug.store.networks import PlannedNetwork
from nasplug.supernets import recalibrate

PLUGINS = load_plugins()
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def many_images(tmp_path_factory):
    """Enough images to hold some out for validation."""
    path = tmp_path_factory.mktemp("images") / "many.safetensors"
    pixels = torch.randint(0, 256, (700, 4, 4, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"images": pixels, "labels": torch.arange(700) % 2}, path)
    return path


def begin(folder, images, validation=0.0, **options):
    layer = {
        "space": {"part": "darts", "cells": 2, "nodes": 2, "channels": 2, "operations": ["sep_conv_3x3"]},
        "data": {"name": f"arrays:{images}", "validation": validation, "test": 0.1},
        "retrain": {"epochs": 2, "batch_size": 16, "auxiliary": 0.4, "drop_path": 0.3, "dropout": 0.5, **options},
        "run": {"method": "random", "preset": "tiny", "threads": 1, "device": "cpu"},
    }
    return start(folder, PLUGINS, resolve(PLUGINS, [layer]), [])


def plan_of(context):
    space = context.composition.space
    genotype = space.random(Random(0))
    return PlannedNetwork("found", genotype, space.size(), space.cost(genotype, context.shape))


def carry_out(context, stop_after=None):
    plan, seen = plan_of(context), 0

    def stop():
        nonlocal seen
        seen += 1
        return seen == stop_after

    task = TrainingTask.retraining(context, plan)
    journal = Journal(context.folder.phase(plan.phase) / "events.jsonl", ignore_event)
    for _ in train_task(context, task, journal, stop):
        pass
    return load_file(context.folder.weights(plan.id)), context.folder.done(plan.phase)


def by_kind(tensors):
    statistics = {name for name in tensors if name.rpartition(".")[2] in STATISTICS}
    return statistics, set(tensors) - statistics


def test_statistics_are_the_mean_and_variance_of_what_every_norm_reads(tmp_path, few_images):
    """In float64, against sums over all pixels, in a network of several norms with everything that can be dropped."""
    context = begin(tmp_path / "run", few_images)
    trainer = make_network_trainer(
        context, "retrain/x", context.composition.space, plan_of(context), context.recipe.retrain, context.splits
    )
    net = trainer.net.double()
    net.drop_path, net.dropout = 0.5, 0.5
    images = [batch.images.double() for batch in norm_batches(context, context.splits.train, 10**6)]
    assert len(images) == 1  # brute force over one batch: statistics of several are averaged, which is tested elsewhere
    read = {}
    for name, norm in net.named_modules():
        if isinstance(norm, nn.BatchNorm2d) and not name.startswith("auxiliary"):
            norm.register_forward_pre_hook(lambda _, args, name=name: read.__setitem__(name, args[0].clone()))
    recalibrate(net, images)
    assert len(read) > 5
    for name, x in read.items():
        pixels = x.transpose(0, 1).flatten(1)
        mean = pixels.sum(1) / pixels.shape[1]
        var = ((pixels - mean[:, None]) ** 2).sum(1) / (pixels.shape[1] - 1)
        torch.testing.assert_close(net.get_submodule(name).running_mean, mean, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(net.get_submodule(name).running_var, var, rtol=1e-12, atol=1e-13)


def test_batches_hold_the_training_images_as_they_are_in_equal_parts(tmp_path, few_images, monkeypatch):
    monkeypatch.setattr(norm_statistics, "NORM_BATCH", 20)
    context = begin(tmp_path / "run", few_images)
    train = context.splits.train
    batches = list(norm_batches(context, context.splits.train, 10**6))
    sizes = [len(batch.labels) for batch in batches]
    assert sum(sizes) == len(train)
    assert max(sizes) <= 20
    assert max(sizes) - min(sizes) <= len(sizes)
    pixels = context.data.train.read(train.tolist()).double() / 255
    expected = (pixels - context.mean[0]) / context.std[0]
    ours = torch.cat([batch.images for batch in batches])
    assert float(ours.double().mean()) == pytest.approx(float(expected.mean()), abs=1e-6)
    assert sorted(ours.sum((1, 2, 3)).tolist()) == pytest.approx(sorted(expected.sum((1, 2, 3)).tolist()), abs=1e-3)
    assert [len(batch.labels) for batch in norm_batches(context, train, 30)] == [15, 15]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_only_statistics_change_and_only_after_a_short_training(tmp_path, few_images, monkeypatch, ema):
    measured, record = carry_out(begin(tmp_path / "short", few_images, ema=ema))
    monkeypatch.setattr(nasplug.engine.norm_statistics, "LARGEST_LAG", 1e9)  # as if the training were long
    context = begin(tmp_path / "long", few_images, ema=ema)
    trained = {}

    def keep_state(path):
        plan = plan_of(context)
        trainer = make_network_trainer(
            context, plan.phase, context.composition.space, plan, context.recipe.retrain, context.splits
        )
        load_checkpoint(path, trainer)
        trained.update((trainer.stages[0].average if ema else trainer.net).state_dict())

    unlink = type(tmp_path).unlink
    monkeypatch.setattr(
        type(tmp_path),
        "unlink",
        lambda path, **options: (
            keep_state(path) if path.name == "checkpoint.safetensors" else None,
            unlink(path, **options),
        ),
    )
    running, unchanged = carry_out(context)
    assert (record["statistics_images"], unchanged["statistics_images"]) == (len(context.splits.train), 0)
    for name, tensor in running.items():  # a long training: what the loop has led to, to the byte
        assert torch.equal(tensor, trained[name]), name
    statistics, weights = by_kind(measured)
    assert all(torch.equal(measured[name], running[name]) for name in weights)
    moved = [name for name in statistics if not torch.equal(measured[name], running[name])]
    assert len(moved) == len(statistics)


def test_a_retraining_that_was_stopped_measures_the_same_statistics(tmp_path, few_images):
    whole, _ = carry_out(begin(tmp_path / "whole", few_images))
    for step in (1, 5, 8):
        context = begin(tmp_path / f"stopped-{step}", few_images)
        with pytest.raises(Stopped):
            carry_out(context, stop_after=step)
        resumed, _ = carry_out(context)
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_the_result_and_the_weights_say_on_how_many_images_statistics_were_measured(tmp_path, few_images):
    context = begin(tmp_path / "run", few_images)
    carry_out(context)
    plan, count = plan_of(context), len(context.splits.train)
    result = write_result(context, "done", [plan])
    assert result["networks"][0]["statistics_images"] == count
    assert result["notes"] == [
        f"The batch-norm statistics of all trained networks were measured on {count} training images after the "
        f"training, which was too short for running averages."
    ]
    with safe_open(context.folder.weights(plan.id), framework="pt") as file:
        assert json.loads(file.metadata()["nasplug"])["statistics_images"] == count


def test_a_network_without_batch_norms_is_left_alone(tmp_path, few_images):
    context = begin(tmp_path / "run", few_images)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    measure_norms(context, net, context.splits.train)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_a_network_that_breaks_in_its_last_step_has_failed(tmp_path, many_images, validation):
    """The loss of the only step is that of the initial weights, and finite."""
    context = begin(tmp_path / "run", many_images, validation, epochs=1, batch_size=630, lr=1e30, clip=0.0)
    with pytest.raises(RunFailure, match=r"of no use.*--set retrain\.lr=2\.5e\+29") as failure:
        carry_out(context)
    assert "NaN or infinity" in str(failure.value) or "not finite" in str(failure.value)
    assert not list((context.folder.path / "weights").glob("*"))
