"""Reference networks in a run: trained beside found ones, recorded, and built again."""

from __future__ import annotations

import json
import shutil
from random import Random
from types import SimpleNamespace

import attrs
import pytest
import torch
from safetensors.torch import save_file

from nasplug.builtin.references.residual import ResNet8
from nasplug.compose import build_reference, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.report import write_report
from nasplug.results.export import export
from nasplug.results.result import choose_network, load
from nasplug.runs.create import start
from nasplug.runs.pipeline import run_pipeline, write_run_report
from nasplug.runs.retrain import make_network_trainer
from nasplug.runs.signals import Signals
from nasplug.store.events import read_events
from nasplug.store.networks import PlannedNetwork, build_network, load_network
from nasplug.store.result import read_result
from nasplug.values import Costs

pytestmark = pytest.mark.slow

PLUGINS = load_plugins()
IMAGES = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def plan_reference(name, width, matched_to=None):
    reference = build_reference(PLUGINS, name).scaled(width)
    return PlannedNetwork("reference", None, reference.size(), Costs(params=10, macs=20), matched_to, name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one found network and two reference networks, which are planned by hand, trained in two processes."""
    folder = tmp_path_factory.mktemp("references")
    pixels = torch.randint(0, 256, (700, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"images": pixels, "labels": torch.arange(700) % 4}, folder / "images.safetensors")
    layer = {
        "space": {"part": "darts", "cells": 2, "nodes": 2, "channels": 2, "operations": ["sep_conv_3x3"]},
        "data": {"name": f"arrays:{folder / 'images.safetensors'}", "validation": 0.1, "test": 0.1},
        "retrain": {"epochs": 1, "batch_size": 50, "auxiliary": 0.4, "drop_path": 0.3, "dropout": 0.5},
        "run": {"method": "random", "preset": "tiny", "threads": 1, "jobs": 2, "device": "cpu"},
        "select": {"references": ["resnet8", "nasplug:plain"]},
    }
    context = start(folder / "run", PLUGINS, resolve(PLUGINS, [layer]), [])
    space = context.composition.space
    found = PlannedNetwork.found(space, space.random(Random(0)), context.shape)
    plans = [found, plan_reference("resnet8", 0.125), plan_reference("nasplug:plain", 0.0625, found.id)]
    context.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    for _ in run_pipeline(context, Signals()):
        pass
    return SimpleNamespace(context=context, plans=plans, folder=context.folder.path, result=load(context.folder.path))


def test_the_result_lists_reference_networks_which_are_neither_best_nor_on_the_front(finished):
    found, *references = finished.plans
    entries = {entry["id"]: entry for entry in json.loads((finished.folder / "result.json").read_text())["networks"]}
    for plan, name, width in zip(references, ("resnet8", "nasplug:plain"), (0.125, 0.0625), strict=True):
        entry = entries[plan.id]
        assert (entry["role"], entry["reference"], entry["genotype"]) == ("reference", name, None)
        assert entry["network"] == {"width": width, "bias": False, "classes": 4, "size": 8}
        assert 0 <= entry["val_error"] <= 1
        assert 0 <= entry["test_error"] <= 1
        assert not (finished.folder / "genotypes" / f"{plan.id}.json").exists()
    assert entries[found.id]["reference"] is None
    result = read_result(finished.folder)
    assert (result.best, result.front) == (found.id, (found.id,))
    assert result.matched(result.network(found.id)) == ()
    assert {f"reference/{plan.id}" for plan in references} < set(result.cost)


def test_events_of_reference_networks_are_merged_into_those_of_the_run(finished):
    phases = {event["phase"] for event in read_events(finished.folder / "events.jsonl")}
    assert {plan.phase for plan in finished.plans} <= phases


def test_what_was_trained_is_built_again_with_its_weights(finished):
    plan = finished.plans[1]
    net, facts = load_network(finished.context.folder.weights(plan.id), PLUGINS)
    assert facts["reference"] == {"part": "resnet8", "options": {"width": 0.125, "bias": False}}
    assert not {"space", "genotype"} & set(facts)
    state = net.state_dict()
    torch.manual_seed(0)
    fresh = ResNet8(width=0.125).network(finished.context.shape).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {name: fresh[name].shape for name in fresh}
    assert any(not torch.equal(state[name], fresh[name]) for name in fresh)


def test_the_builder_gives_a_reference_network_no_auxiliary_head(finished):
    context = finished.context
    nets = [build_network(PLUGINS, context.composition.space, plan, context.shape, True) for plan in finished.plans]
    images = torch.randn(2, 1, 8, 8)
    assert [net.train().outputs(images).auxiliary is None for net in nets] == [False, True, True]


def test_it_is_trained_as_random_networks_are_but_without_auxiliary_loss(finished):
    context = finished.context
    options = attrs.evolve(context.recipe.retrain, drop_path_per_operation=0.1)
    trainers = [
        make_network_trainer(context, plan.phase, context.composition.space, plan, options, context.splits)
        for plan in finished.plans[:2]
    ]
    assert [trainer.training.auxiliary for trainer in trainers] == [0.4, 0.0]
    assert trainers[1].training == attrs.evolve(options, auxiliary=0.0)
    for trainer in trainers:
        trainer.set_rates(trainer.clock.at(0))
    assert [trainer.net.dropout for trainer in trainers] == [0.5, 0.5]


def test_predictions_and_exports_are_those_of_the_reference_network(finished, tmp_path):
    network = choose_network(finished.result, finished.plans[1].id[:8])
    assert (network.reference, network.genotype) == ("resnet8", None)
    assert network.predict(IMAGES).shape == (5, 4)
    written = export(network, "pt2", tmp_path / "resnet8.pt2")
    assert written.parity.holds


def test_reports_are_written_without_drawings_of_reference_networks(finished):
    page = write_run_report(finished.context.folder, PLUGINS).read_text()
    assert page.count("resnet8") >= 1
    for plan in finished.plans:
        assert plan.id in page
    assert write_report(finished.folder, {}).exists()


def test_other_weights_under_the_id_of_a_reference_network_are_refused(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    found, resnet8, plain = (plan.id for plan in finished.plans)
    for source in (found, plain):
        shutil.copy(run / "weights" / f"{source}.safetensors", run / "weights" / f"{resnet8}.safetensors")
        with pytest.raises(InputError, match="differ in their architectures"):
            load(run)[resnet8].network()


def test_a_reference_network_whose_package_is_gone_is_named(finished):
    plugins = load_plugins()
    plugins.registrations = [each for each in plugins.registrations if each.name != "resnet8"]
    with pytest.raises(
        InputError, match=r"no reference network 'resnet8'\..*Known: ds-cnn, mobilenetv2, plain, timm, torchvision"
    ):
        load(finished.folder, plugins)[finished.plans[1].id].network()
    assert load(finished.folder, plugins).best().network()
