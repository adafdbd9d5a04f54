"""Stand-alone networks that learn from a teacher's network: which one it is, and what a run says of it."""

from __future__ import annotations

import shutil
from random import Random
from types import SimpleNamespace

import attrs
import pytest
import torch
from safetensors.torch import load_file

from nasplug.compose import resolve
from nasplug.engine.plain.labels import Labels
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.context import reopen_context
from nasplug.runs.create import start
from nasplug.runs.distillation import Distillation, load_search_teacher, refuse_missing_teacher, retraining_teacher
from nasplug.runs.estimate import estimate_run
from nasplug.runs.given_teacher import replace_teacher
from nasplug.runs.retrain import make_network_trainer, train_task
from nasplug.runs.summary import write_result
from nasplug.runs.teacher_training import teacher_training, train_teacher
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask
from nasplug.store.events import Journal, ignore_event, read_events
from nasplug.store.files import read_tensors, write_tensors
from nasplug.store.networks import PlannedNetwork, build_network, load_network, save_network
from nasplug.store.run_folder import RunFolder
from nasplug.supernets import tap_shapes
from nasplug.values import Costs

PLUGINS = load_plugins()
SPACE = {"part": "darts", "cells": 2, "nodes": 2, "channels": 2, "operations": ["sep_conv_3x3", "skip_connect"]}


def begin(folder, images, teacher="", method="random", run=None, sections=None, **retrain):
    options = {"epochs": 2, "batch_size": 16, "auxiliary": 0.4, "drop_path": 0.3, "dropout": 0.5}
    layer = {
        "space": SPACE,
        "data": {"name": f"arrays:{images}", "validation": 0.0, "test": 0.1},
        "retrain": {**options, **retrain},
        "select": {"references": [], "measures": []},
        "run": {"method": method, "preset": "tiny", "threads": 1, "device": "cpu", "teacher_from": str(teacher)},
    }
    layer["run"].update(run or {})
    layer.update(sections or {})
    return start(folder, PLUGINS, resolve(PLUGINS, [layer]), [])


def plan_of(context, number=0):
    space = context.composition.space
    genotype = space.random(Random(number))
    return PlannedNetwork("found", genotype, space.size(), space.cost(genotype, context.shape))


def journal_of(context, plan):
    return Journal(context.folder.phase(plan.phase) / "events.jsonl", ignore_event)


def carry_out(context, stop_after=None):
    """Trains a network, up to a step if one is named; returns its weights."""
    plan, seen = plan_of(context), 0

    def stop():
        nonlocal seen
        seen += 1
        return seen == stop_after

    for _ in train_task(context, TrainingTask.retraining(context, plan), journal_of(context, plan), stop):
        pass
    return load_file(context.folder.weights(plan.id))


def losses(context):
    return [event["loss"] for event in read_events(journal_of(context, plan_of(context)).path)]


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, few_images):
    """The weights file of a network of another size and architecture, for other statistics of images."""
    context = begin(tmp_path_factory.mktemp("teacher") / "run", few_images)
    space = context.composition.space.scaled(channels=6)
    genotype = space.random(Random(5))
    plan = PlannedNetwork.found(space, genotype, context.shape)
    torch.manual_seed(3)
    net = space.network(genotype, context.shape)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_network(path, net.eval(), context.composition, plan, context.preprocessing())
    return path


@pytest.fixture(scope="module")
def taught(tmp_path_factory, few_images, teacher):
    """A run whose networks learn from the teacher, and the weights of one of them."""
    context = begin(tmp_path_factory.mktemp("taught") / "run", few_images, teacher, distil=0.6)
    return SimpleNamespace(context=context, weights=carry_out(context), losses=losses(context))


# What is trained.


def test_every_step_minimises_the_mixed_loss(taught):
    """The first loss of the run, from its own network, batch and teacher."""
    context, plan = taught.context, plan_of(taught.context)
    labels = attrs.evolve(context.recipe.retrain, distil=0.0)
    trainer = make_network_trainer(context, plan.phase, context.composition.space, plan, labels, context.splits)
    net, now = trainer.net, trainer.clock.at(0)
    trainer.set_rates(now)
    batch = trainer.streams["train"].batch(0)
    out = net.outputs(batch.images)
    with torch.no_grad():
        targets = load_network(context.folder.teacher, PLUGINS)[0](batch.images).double()
    expected = 0.0
    for share, logits in ((1.0, out.logits), (0.4, out.auxiliary)):
        scores = logits.detach().double()
        hard = -scores.log_softmax(1)[torch.arange(len(batch.labels)), batch.labels].mean()
        theirs, ours = (targets / 4).softmax(1), (scores / 4).softmax(1)
        soft = 16 * (theirs * (theirs.log() - ours.log())).sum(1).mean()
        expected += share * float(0.4 * hard + 0.6 * soft)
    assert taught.losses[0] == pytest.approx(expected, rel=1e-5)


def test_with_weight_0_a_network_is_trained_as_ever_and_starts_alike_with_any_other(tmp_path, few_images, taught):
    plain, off = (
        begin(tmp_path / "plain", few_images),
        begin(tmp_path / "off", few_images, distil=0.0, distil_temperature=9.0),
    )
    weights = carry_out(plain)
    assert equal(carry_out(off), weights)
    assert losses(off) == losses(plain)
    assert not equal(taught.weights, weights)
    options = (plan_of(plain).phase, plain.composition.space, plan_of(plain))
    nets = [
        make_network_trainer(
            context, *options, context.recipe.retrain, context.splits, retraining_teacher(context)
        ).net.state_dict()
        for context in (plain, taught.context)
    ]
    assert equal(*nets)


def test_a_network_that_was_stopped_ends_like_one_that_was_not(tmp_path, few_images, teacher, taught):
    context = begin(tmp_path / "run", few_images, teacher, distil=0.6)
    with pytest.raises(Stopped):
        carry_out(context, stop_after=4)
    assert equal(carry_out(reopen_context(context.folder, PLUGINS)), taught.weights)


def test_the_teacher_is_in_no_checkpoint_and_in_no_weights_file(tmp_path, few_images, teacher, taught):
    kept = []
    for options in ({}, {"teacher": teacher, "distil": 0.6}):
        context = begin(tmp_path / f"{len(kept)}", few_images, **options)
        with pytest.raises(Stopped):
            carry_out(context, stop_after=2)
        kept.append(read_tensors(context.folder.checkpoint(plan_of(context).phase), "checkpoint")[0])
    assert kept[0].keys() == kept[1].keys()
    net = load_network(taught.context.folder.weights(plan_of(taught.context).id), PLUGINS)[0]
    assert net.state_dict().keys() == taught.weights.keys()


def test_the_teacher_reads_images_in_its_own_normalisation(tmp_path, few_images, teacher, taught):
    tensors, facts = read_tensors(teacher, "network")
    other = tmp_path / "other.safetensors"
    facts["data"] |= {"mean": [0.1], "std": [0.7]}
    write_tensors(other, tensors, facts)
    context = begin(tmp_path / "run", few_images, other, distil=0.6)
    pixels = torch.rand(4, 1, 8, 8)
    ours = retraining_teacher(context)((pixels - context.mean[0]) / context.std[0])
    theirs = load_network(other, PLUGINS)[0]((pixels - 0.1) / 0.7)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert type(retraining_teacher(taught.context)) is type(load_network(teacher, PLUGINS)[0])  # no need to convert


# Which teacher.


def test_a_run_without_a_teachers_network_is_refused_before_anything_is_written(tmp_path, few_images):
    for method, reason in (("random", "its teacher is 'labels'"), ("darts", "its teacher is 'labels'")):
        with pytest.raises(InputError, match=rf"retrain.distil=0.5 .*{reason}.*--teacher-from RUN_OR_FILE"):
            begin(tmp_path / "run", few_images, method=method, distil=0.5)
    with pytest.raises(InputError, match=r"'voting', as it is set, trains none that has logits for the classes"):
        begin(tmp_path / "run", few_images, method="sd-darts", distil=0.5)
    frozen = {"space": {"part": "mbconv"}, "teacher": {"model": "resnet18", "weights": "random"}}
    with pytest.raises(InputError, match=r"'blockwise', as it is set, trains none that has logits for the classes"):
        begin(tmp_path / "run", few_images, method="dna", sections=frozen, distil=0.5, auxiliary=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_that_nobody_learns_from_is_refused_with_both_remedies(tmp_path, few_images, teacher):
    with pytest.raises(InputError, match=r"uses none; try --teacher features, or .*--set retrain.distil=0.5"):
        begin(tmp_path / "run", few_images, teacher)


def test_a_method_with_a_teacher_of_its_own_needs_no_other_and_trains_it_from_labels(tmp_path, few_images):
    context = begin(tmp_path / "run", few_images, method="dnad", distil=0.5)
    assert not context.folder.teacher.exists()
    assert teacher_training(context).distil == 0
    assert Distillation.of(context).teacher == ""


def test_a_kill_between_the_weights_of_a_teacher_and_its_record_changes_nothing(tmp_path, few_images, monkeypatch):
    def train(context):
        journal = Journal(context.folder.events, ignore_event)
        for _ in train_teacher(context, journal, lambda: False):
            pass

    def killed(*_):
        raise KeyboardInterrupt

    sections = {"teacher": {"part": "features", "epochs": 1}}
    whole, broken = (
        begin(tmp_path / name, few_images, method="dnad", sections=sections) for name in ("whole", "broken")
    )
    train(whole)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    assert broken.folder.teacher.exists()
    assert broken.folder.done("teacher") is None
    train(broken)
    assert not broken.folder.checkpoint("teacher").exists()
    assert broken.folder.done("teacher")["train_loss"] == whole.folder.done("teacher")["train_loss"]
    assert equal(load_file(broken.folder.teacher), load_file(whole.folder.teacher))
    train(broken)


def test_networks_and_searches_learn_from_a_reference_network(tmp_path, few_images):
    other, path = begin(tmp_path / "other", few_images), tmp_path / "resnet8.safetensors"
    size = {"width": 0.125, "bias": False}
    plan = PlannedNetwork("reference", None, size, Costs(params=10, macs=20), reference="resnet8")
    net = build_network(PLUGINS, other.composition.space, plan, other.shape).eval()
    save_network(path, net, other.composition, plan, other.preprocessing())
    context = begin(tmp_path / "run", few_images, path, distil=0.5)
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(retraining_teacher(context)(images), net(images))
    context = begin(tmp_path / "dnad", few_images, path, method="dnad", distil=0.5)
    student = context.composition.space.supernet(context.shape)
    taps = tap_shapes(load_search_teacher(context, student), context.shape)
    assert [tap.size for tap in tap_shapes(student, context.shape)] == [8, 4]
    assert [tap.size for tap in taps] == [8, 8]  # all its maps; each of ours is compared at the smaller size


def test_a_search_does_not_get_what_only_retrainings_learn_from(tmp_path, few_images, teacher, monkeypatch):
    given = []
    stages = Labels.stages
    monkeypatch.setattr(
        Labels,
        "stages",
        lambda part, net, shape, teacher: (given.append(teacher), stages(part, net, shape, teacher))[1],
    )
    begin(tmp_path / "run", few_images, teacher, method="darts", distil=0.5)
    assert given == [None]


def test_a_retraining_takes_another_teacher_unless_the_search_had_one(tmp_path, few_images, teacher, taught):
    context = begin(tmp_path / "run", few_images)
    recipe = context.recipe
    options = attrs.evolve(recipe.run, teacher_from=str(teacher)), attrs.evolve(recipe.retrain, distil=0.5)
    recipe = attrs.evolve(recipe, run=options[0], retrain=options[1])
    changed = attrs.evolve(context, composition=attrs.evolve(context.composition, recipe=recipe))
    with pytest.raises(InputError, match="the run has none"):
        refuse_missing_teacher(changed)
    replace_teacher(changed, before={})
    refuse_missing_teacher(changed)
    assert changed.folder.teacher.read_bytes() == teacher.read_bytes()
    kept = attrs.evolve(changed, composition=attrs.evolve(changed.composition, recipe=context.recipe))
    replace_teacher(kept, before={"teacher_from": "x"})
    assert not kept.folder.teacher.exists()
    searched = begin(tmp_path / "dnad", few_images, method="dnad")
    with pytest.raises(InputError, match=r"learnt from the network of its teacher 'features'"):
        replace_teacher(searched, before={"teacher_from": "x"})


def test_a_teacher_that_was_lost_is_named(tmp_path, few_images, teacher):
    context = begin(tmp_path / "run", few_images, teacher, distil=0.5)
    context.folder.teacher.unlink()
    with pytest.raises(InputError, match=r"retrain\.distil=0\.5"):
        carry_out(context)


# What is said of it.


def test_the_result_names_teacher_weight_temperature_and_error(tmp_path, few_images, teacher, taught):
    result = write_result(taught.context, "running", [])
    expected = {"from": str(teacher), "val_error": None, "seen": 0}
    assert result["distillation"] == {"weight": 0.6, "temperature": 4.0, "teacher": expected}
    (note,) = [note for note in result["notes"] if "teacher" in note]
    assert "teacher.safetensors" in note
    assert "at temperature 4: 60 % of their loss, 40 % is that of the labels." in note
    context = begin(tmp_path / "again", few_images, taught.context.folder.path, distil=0.6)
    context.folder.finish("teacher", {"val_error": 0.125})
    assert "validation error 12.50 %" in Distillation.of(context).describe()
    third = begin(tmp_path / "third", few_images, context.folder.path, distil=1.0)
    assert Distillation.of(third).teacher_error == 0.125
    assert third.folder.teacher.read_bytes() == teacher.read_bytes()
    plain = begin(tmp_path / "plain", few_images)
    assert write_result(plain, "running", [])["distillation"] is None


def test_a_teacher_that_knows_images_held_out_here_is_noticed(tmp_path, few_images, teacher):
    other = begin(tmp_path / "other", few_images, run={"seed": 1})
    other.folder.teacher.parent.mkdir(parents=True)
    shutil.copy(teacher, other.folder.teacher)
    other.folder.finish("teacher", {"val_error": None})  # as if it had been trained there
    for seed in (0, 1):
        context = begin(tmp_path / f"{seed}", few_images, other.folder.path, run={"seed": seed}, distil=0.5)
        known = len(set(context.splits.test) & set(other.splits.train))
        assert Distillation.of(context).seen == known
        assert (known > 0) == (seed == 0)
        assert (f"trained on {known} of the images that this run holds out" in Distillation.of(context).describe()) == (
            seed == 0
        )
    borrowed = begin(tmp_path / "third", few_images, tmp_path / "1", run={"seed": 0}, distil=0.5)
    assert Distillation.of(borrowed).seen == 0  # which images the lender's lender used is not known


def test_the_error_of_a_network_is_that_of_the_run_that_its_weights_lie_in(tmp_path, few_images, teacher):
    lender = begin(tmp_path / "lender", few_images)
    plan = plan_of(lender)
    carry_out(lender)
    lender.folder.finish(plan.phase, {**lender.folder.done(plan.phase), "val_error": 0.25})
    write_result(lender, "done", [plan])
    weights = lender.folder.weights(plan.id)
    copied, damaged = tmp_path / "copied.safetensors", tmp_path / "damaged"
    shutil.copy(weights, copied)
    shutil.copytree(lender.folder.path, damaged)
    (damaged / "result.json").write_text("{")
    sources = {lender.folder.path: 0.25, weights: 0.25, copied: None, damaged / "weights" / weights.name: None}
    for number, (source, error) in enumerate(sources.items()):
        context = begin(tmp_path / f"{number}", few_images, source, distil=0.5)
        assert Distillation.of(context).teacher_error == error
        assert context.folder.teacher.read_bytes() == weights.read_bytes()


def test_estimates_include_the_teachers_pass(tmp_path, few_images, taught, monkeypatch):
    calls = []
    kind = type(load_network(taught.context.folder.teacher, PLUGINS)[0])
    monkeypatch.setattr(
        kind, "forward", lambda net, images: (calls.append(net.training), net.outputs(images).logits)[1]
    )
    assert [estimate.name for estimate in estimate_run(taught.context)][-1] == "retrain"
    assert calls
    assert not any(calls)
