"""Teachers that are pretrained networks of a library; weights drawn at random stand for trained ones."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from itertools import count
from types import SimpleNamespace

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from nasplug.builtin.references.timm_networks import TimmReference
from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.context import reopen_context
from nasplug.runs.create import start
from nasplug.runs.distillation import Distillation, load_search_teacher, retraining_teacher
from nasplug.runs.given_teacher import replace_teacher
from nasplug.runs.search import search
from nasplug.runs.teacher_training import fine_tuning, make_teacher_trainer, train_teacher
from nasplug.runs.training import Stopped
from nasplug.store.events import Journal, ignore_event, read_events
from nasplug.supernets import tap_shapes
from nasplug.values import StepClock, Update
from nasplug.values.options import option_values

timm = pytest.importorskip("timm")

PLUGINS = load_plugins()
NAME = "test_resnet"
CELLS = {"part": "darts", "cells": 2, "nodes": 2, "channels": 2, "operations": ["sep_conv_3x3", "skip_connect"]}
BLOCKS = {"part": "mbconv", "blocks": ["s1 1x4", "s2 1x6"], "kernels": [3], "channels": 4}


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    net = timm.create_model(NAME, num_classes=7).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # as only training leaves them
    return net


@pytest.fixture(scope="module")
def weights(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(published.state_dict(), path)
    return path


def begin(folder, images, weights, method="dnad", sections=None, retrain=None, **run):
    named = {"teacher_from": f"timm:{NAME}", "teacher_weights": str(weights), "teacher_resolution": 16}
    layer = {
        "space": BLOCKS if method == "dna" else CELLS,
        "data": {"name": f"arrays:{images}", "validation": 0.0, "test": 0.1},
        "retrain": {"epochs": 3, "batch_size": 16, "lr": 0.2, "lr_min": 0.02, "optimizer": "sgd", **(retrain or {})},
        "select": {"references": [], "measures": []},
        "run": {"method": method, "preset": "tiny", "threads": 1, "device": "cpu", **named, **run},
        **(sections or {}),
    }
    return start(folder, PLUGINS, resolve(PLUGINS, [layer]), [])


def fine_tune(context, stop_after=None):
    """Carries out the phase `teacher`, up to a step if one is named; returns the weights that it leaves."""
    seen = 0

    def stop():
        nonlocal seen
        seen += 1
        return seen == stop_after

    for _ in train_teacher(context, Journal(context.folder.events, ignore_event), stop):
        pass
    return load_file(context.folder.teacher)


def search_steps(context):
    return [event for event in read_events(context.folder.events) if event["event"] == "step"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, few_images, weights):
    context = begin(tmp_path_factory.mktemp("tuned") / "run", few_images, weights, retrain={"distil": 0.5})
    return SimpleNamespace(context=context, weights=fine_tune(context))


# What is trained.


def test_the_network_reads_images_as_those_that_its_weights_are_for(tmp_path, few_images, published, weights):
    context = begin(tmp_path / "run", few_images, weights)
    student = context.composition.space.supernet(context.shape)
    teacher = load_search_teacher(context, student)
    pixels = torch.rand(4, 1, 8, 8)
    large = F.interpolate(pixels, 16, mode="bilinear", antialias=True).expand(4, 3, 16, 16)
    with torch.no_grad():
        taps = teacher.outputs((pixels - context.mean[0]) / context.std[0]).taps
        stem = published.act1(published.bn1(published.conv1((large - 0.5) / 0.5)))
        expected = [stem, published.layer1(published.maxpool(stem))]
    assert [tap.size for tap in tap_shapes(student, context.shape)] == [tap.shape[2] for tap in expected] == [8, 4]
    torch.testing.assert_close(list(taps), expected, rtol=1e-4, atol=1e-4)


def test_it_starts_from_the_weights_of_the_file_but_for_the_classifier(tmp_path, few_images, published, weights):
    context = begin(tmp_path / "run", few_images, weights)
    kept = load_file(context.folder.pretrained_teacher)
    state = published.state_dict()
    assert kept.keys() == {f"net.net.{name}" for name in state}
    for name, value in state.items():
        assert name.startswith("fc.") or torch.equal(kept[f"net.net.{name}"], value)
    assert kept["net.net.fc.weight"].shape[0] == len(context.data.classes)
    loaded = make_teacher_trainer(context).net.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in loaded.items())


def test_it_is_trained_like_a_teacher_at_a_tenth_of_the_rate_unless_asked_otherwise(tmp_path, few_images, weights):
    def training(**options):
        return fine_tuning(begin(tmp_path / f"{len(list(tmp_path.iterdir()))}", few_images, weights, **options))

    plain = training(sections={"teacher": {"epochs": 0}})
    assert (plain.epochs, plain.lr, plain.lr_min, plain.distil) == (3, pytest.approx(0.02), pytest.approx(0.002), 0)
    assert training(sections={"teacher": {"epochs": 5, "lr": 0.1}}).lr == pytest.approx(0.01)
    assert training(sections={"teacher": {"epochs": 5}}).epochs == 5
    asked = training(sections={"teacher": {"epochs": 5}}, teacher_epochs=2, teacher_lr=0.3)
    assert (asked.epochs, asked.lr) == (2, 0.3)
    assert training(teacher_epochs=0) is None
    assert training(method="random", retrain={"distil": 1.0}).epochs == 3


def test_fine_tuning_that_was_stopped_ends_alike_and_needs_the_file_no_more(
    tmp_path, few_images, weights, tuned, monkeypatch
):
    copied = tmp_path / "w.pth"
    shutil.copy(weights, copied)
    context = begin(tmp_path / "run", few_images, copied, retrain={"distil": 0.5})
    copied.unlink()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    with pytest.raises(Stopped):
        fine_tune(context, stop_after=4)
    state = fine_tune(reopen_context(context.folder, PLUGINS))
    assert all(torch.equal(value, state[name]) for name, value in tuned.weights.items())
    losses = [[event["loss"] for event in read_events(each.folder.events)] for each in (context, tuned.context)]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]
    assert not context.folder.pretrained_teacher.exists()


def test_search_and_retrainings_learn_from_what_was_fine_tuned(tuned):
    context, images = tuned.context, torch.randn(3, 1, 8, 8)
    student = context.composition.space.supernet(context.shape)
    searching, retraining = load_search_teacher(context, student), retraining_teacher(context)
    assert torch.equal(searching(images), retraining(images))
    assert retraining(images).shape == (3, len(context.data.classes))
    assert torch.equal(retraining.state_dict()["net.net.fc.bias"], tuned.weights["net.net.fc.bias"])
    assert Distillation.of(context).to_dict()["teacher"]["from"] == f"timm:{NAME}"
    assert f"(that of 'timm:{NAME}', fine-tuned on these classes)" in Distillation.of(context).describe()


@pytest.mark.parametrize("method", ["dnad", "dna"])
def test_the_loss_of_a_search_falls_towards_its_features(tmp_path, few_images, weights, method):
    """With no fine-tuning at all: features need no classes."""
    context = begin(tmp_path / "run", few_images, weights, method=method, teacher_epochs=0)
    assert context.folder.done("teacher") == {"from": f"timm:{NAME}"}
    torch.manual_seed(0)
    net = context.composition.space.supernet(context.shape)
    (stage, *_) = context.composition.teacher.stages(net, context.shape, load_search_teacher(context, net))
    batch = context.stream("search", "train", context.splits.train, context.recipe.search).batch(0)
    optimizer = torch.optim.Adam([*net.parameters(), *stage.parameters()], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = stage(net, batch, Update("train", moves_weights=True, moves_alpha=False), StepClock(1, 1).at(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_a_search_that_was_stopped_ends_alike(tmp_path, few_images, weights):
    def carry_out(context, stop_after=None):
        answers = (number == stop_after for number in count(1))
        for _ in search(context, Journal(context.folder.events, ignore_event), lambda: next(answers)):
            pass

    contexts = [
        begin(
            tmp_path / name, few_images, weights, teacher_epochs=0, sections={"search": {"epochs": 2, "batch_size": 16}}
        )
        for name in ("whole", "broken")
    ]
    carry_out(contexts[0])
    with pytest.raises(Stopped):
        carry_out(contexts[1], stop_after=3)
    carry_out(reopen_context(contexts[1].folder, PLUGINS))
    whole, broken = ([event["loss"] for event in search_steps(context)] for context in contexts)
    assert len(whole) > 3
    assert whole == broken


def test_another_run_takes_the_fine_tuned_network_with_its_resolution(tmp_path, few_images, tuned):
    options = {"teacher_weights": "", "teacher_resolution": 0, "teacher_from": str(tuned.context.folder.path)}
    context = begin(tmp_path / "run", few_images, "", **options)
    assert context.folder.teacher.read_bytes() == tuned.context.folder.teacher.read_bytes()
    student = context.composition.space.supernet(context.shape)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(load_search_teacher(context, student)(images), retraining_teacher(tuned.context)(images))


def test_a_retraining_takes_a_pretrained_teacher_and_another_where_its_options_change(tmp_path, few_images, weights):
    context = begin(tmp_path / "run", few_images, weights, method="random", retrain={"distil": 0.5})
    before = option_values(context.recipe.run)
    first = context.folder.pretrained_teacher.read_bytes()
    replace_teacher(context, before)  # nothing has changed
    assert context.folder.pretrained_teacher.read_bytes() == first
    run = attrs.evolve(context.recipe.run, teacher_resolution=32)
    recipe = attrs.evolve(context.recipe, run=run)
    changed = attrs.evolve(context, composition=attrs.evolve(context.composition, recipe=recipe))
    replace_teacher(changed, before)
    assert make_teacher_trainer(changed).net.read.size == 32


# What is refused, before anything is written.


def refused(folder, words, *arguments, **options):
    with pytest.raises(InputError, match=words):
        begin(folder / "run", *arguments, **options)
    assert not (folder / "run").exists()


def test_code_in_a_file_of_weights_is_never_run(tmp_path, few_images):
    class Code:
        def __reduce__(self):
            return os.system, (f"touch '{tmp_path / 'it ran'}'",)

    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Code()))
    torch.save({"conv1.weight": Code()}, tmp_path / "zip.pth")
    for name in ("plain.pth", "zip.pth"):
        refused(tmp_path, r"code in it is never run", few_images, tmp_path / name)
    assert not (tmp_path / "it ran").exists()


def test_files_that_hold_no_weights_of_the_network_are_refused(tmp_path, few_images, weights):
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:10_000])
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, words in (
        ("cut.pth", "file is damaged"),
        ("other.safetensors", f"not of the network '{NAME}' of timm .missing: conv1.0.weight"),
        ("none.pth", "There is no file of weights"),
    ):
        refused(tmp_path, words, few_images, tmp_path / name)


def test_weights_that_cannot_be_fetched_name_the_option(tmp_path, few_images, monkeypatch):
    def unreachable(*names, pretrained, **options):
        if pretrained:
            raise OSError("no network")
        return create(*names, pretrained=pretrained, **options)

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", unreachable)
    refused(tmp_path, r"cannot fetch .*no network.*--set run.teacher_weights=FILE", few_images, "")


def test_what_does_not_fit_together_is_refused(tmp_path, few_images, weights, monkeypatch):
    for words, options in (
        (r"run.teacher_epochs to 1 or more", {"teacher_epochs": 0, "retrain": {"distil": 0.5}}),
        (r"compares maps of 8x8, 4x4.*teacher_resolution=16", {"teacher_resolution": 0}),
        (r"timm has no network 'test_resnets'", {"teacher_from": "timm:test_resnets"}),
        (r"run.teacher_weights is meant for a pretrained.*names 'runs/1'", {"teacher_from": "runs/1"}),
        (r"run.teacher_weights is meant for a pretrained.*none is named", {"teacher_from": ""}),
        (
            r"There is no 'tim:x'.*timm:resnet18",
            {"teacher_from": "tim:x", "teacher_weights": "", "teacher_resolution": 0},
        ),
        (r"the teacher 'labels' uses none", {"method": "darts"}),
        (r"For a teacher, run.teacher_resolution", {"teacher_from": "torchvision:vit_b_16"}),
    ):
        refused(tmp_path, words, few_images, weights, **options)
    monkeypatch.setattr(TimmReference, "published_normalisation", lambda reference: ((0.5,) * 4, (0.5,) * 4))
    images = tmp_path / "colours.safetensors"
    save_file({"images": torch.zeros(40, 8, 8, 3, dtype=torch.uint8), "labels": torch.arange(40) % 4}, images)
    refused(tmp_path, r"reads images of 4 channels \(or 1, repeated\), but those of .* have 3", images, weights)


def test_without_timm_it_says_what_to_install(tmp_path, few_images, weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    refused(tmp_path, r"need the package timm.*pip install 'nasplug\[timm\]'", few_images, weights)


def test_a_network_that_was_lost_before_its_fine_tuning_is_named(tmp_path, few_images, weights):
    context = begin(tmp_path / "run", few_images, weights)
    context.folder.pretrained_teacher.unlink()
    with pytest.raises(InputError, match=f"teacher 'timm:{NAME}' is gone"):
        fine_tune(context)
