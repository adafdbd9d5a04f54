"""What programs do with the result of a run: pickle it, ask several threads, build networks under own settings."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import attrs
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.plugins import Plugins, load_plugins
from nasplug.plugins.program_objects import PluginsWithObjects, add_objects
from nasplug.results.result import load
from nasplug.runs.borrowed_teacher import borrow_teacher
from nasplug.runs.context import new_context, write_start
from nasplug.runs.summary import write_result
from nasplug.store.files import encode_tensors
from nasplug.store.networks import PlannedNetwork, save_network
from nasplug.store.run_folder import RunFolder
from nasplug.testing.toy import Toy

SPACE = {"cells": 3, "nodes": 2, "channels": 2, "operations": ["skip_connect", "dil_conv_5x5", "sep_conv_3x3"]}
IMAGES = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """What a run leaves, with one network that nobody has trained."""
    plugins = load_plugins()
    recipe = resolve(plugins, [{"run": {"method": "dnad", "preset": "tiny", "device": "cpu"}, "space": SPACE}])
    context = new_context(RunFolder.create(tmp_path_factory.mktemp("result") / "run"), plugins, recipe)
    write_start(context, [])
    torch.manual_seed(0)
    space = context.composition.space
    genotype = space.random(Random(0))
    plan = PlannedNetwork("found", genotype, space.size(), space.cost(genotype, context.shape))
    net = space.network(genotype, context.shape)
    save_network(context.folder.weights(plan.id), net, context.composition, plan, context.preprocessing())
    context.folder.finish(plan.phase, {"val_error": 0.5, "train_loss": 1.0})
    write_result(context, "done", [plan])
    return context.folder.path


def test_a_result_and_its_networks_can_be_pickled_and_copied_and_find_their_run_from_anywhere(
    run, tmp_path, monkeypatch
):
    monkeypatch.chdir(run.parent)
    result = load("run")
    expected = result.best().predict(IMAGES)
    stored = pickle.dumps((result, result.best()))
    monkeypatch.chdir(tmp_path)
    again, best = pickle.loads(stored)  # noqa: S301 - written above
    assert again.record == result.record
    for network in (again.best(), best, copy.deepcopy(best)):
        assert (network.id, network.genotype) == (result.best().id, best.genotype)
        assert torch.equal(network.predict(IMAGES), expected)


def test_the_best_network_is_chosen_within_costs_on_record(run):
    result = load(run)
    record = {**result.record, "units": {"latency": {"symbol": "s", "prefix": "m", "whole": False}}}
    (entry,) = record["networks"]
    record["networks"] = [{**entry, "costs": {**entry["costs"], "latency": 0.25}}]
    result = attrs.evolve(result, record=record)
    params = entry["params"]

    assert result.best(params=params, latency="300us").id == entry["id"]
    assert result.best(max_params=params, latency=0.3).id == entry["id"]
    with pytest.raises(InputError, match=r"has at most 200 us latency; the cheapest has 250 us latency, [\d,]+ params"):
        result.best(latency="0.2ms")
    with pytest.raises(InputError, match=r"There is no cost on record in '.*' 'latncy'. Did you mean 'latency'"):
        result.best(latncy=1)
    with pytest.raises(InputError, match="latency: '2KB' is no amount in ms"):
        result.best(latency="2KB")
    with pytest.raises(InputError, match="A limit is a number or text"):
        result.best(latency=[1])


def test_pickled_plugins_are_loaded_again_with_the_objects_of_the_program():
    plugins = add_objects(load_plugins(), {"space": ("python:own", Toy(cells=3))})
    again = pickle.loads(pickle.dumps(plugins))  # noqa: S301 - written here
    assert isinstance(again, PluginsWithObjects)
    assert again.objects == plugins.objects
    assert again.registrations == plugins.registrations
    plain = pickle.loads(pickle.dumps(load_plugins()))  # noqa: S301
    assert type(plain) is Plugins
    assert plain.all == load_plugins().all


@contextmanager
def as_usual():
    yield


@contextmanager
def in_float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def on_the_device_meta():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("settings", [in_float64, on_the_device_meta, lambda: torch.device("meta"), torch.no_grad])
def test_networks_are_the_same_whatever_a_program_has_set(run, tmp_path, settings):
    best = load(run).best()
    expected, state = best.predict(IMAGES), best.network().state_dict()
    with settings():
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()
        net = load(run).best().network()
        predicted = best.predict(IMAGES)
        from_array = best.predict(IMAGES.numpy())
        assert before == (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled())
    assert torch.equal(predicted, expected)
    assert torch.equal(from_array, expected)
    assert all(parameter.requires_grad for parameter in net.parameters())
    for name, tensor in net.state_dict().items():
        assert (tensor.device.type, tensor.dtype) == ("cpu", state[name].dtype)
        assert torch.equal(tensor, state[name])


def test_a_network_is_a_module_like_others_to_copy_save_and_trace(run):
    net, x = load(run).best().network(), torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        expected = net(x)
        stream = io.BytesIO()
        torch.save(net, stream)
        stream.seek(0)
        copies = [copy.deepcopy(net), torch.load(stream, weights_only=False), pickle.loads(pickle.dumps(net))]  # noqa: S301
        for other in copies:
            assert torch.equal(other(x), expected)
        assert isinstance(expected, torch.Tensor)
        torch.testing.assert_close(torch.fx.symbolic_trace(net)(x), expected)


def test_several_threads_build_networks_and_predict_without_touching_what_the_program_has_set(run):
    best = load(run).best()
    expected = best.predict(IMAGES)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    with in_float64(), ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: (best.predict(IMAGES), best.network()), range(8)))
        assert torch.get_default_dtype() is torch.float64
    assert torch.equal(torch.get_rng_state(), state)
    for predicted, net in answers:
        assert torch.equal(predicted, expected)
        assert next(net.parameters()).dtype is torch.float32


@pytest.mark.parametrize("name", ["classifier.weight", "running_var"])
def test_weights_that_are_not_finite_are_refused_wherever_they_are_read(run, tmp_path, name):
    broken = Path(shutil.copytree(run, tmp_path / "run"))
    best = load(broken).best()
    tensors = load_file(best.weights)
    with safe_open(best.weights, framework="pt") as file:
        metadata = file.metadata()
    place = next(key for key in tensors if key.endswith(name))
    tensors[place].view(-1)[0] = torch.nan
    best.weights.write_bytes(b"".join(encode_tensors(tensors, metadata)))
    plugins = load_plugins()
    context = new_context(
        RunFolder.create(tmp_path / "new"),
        plugins,
        resolve(plugins, [{"run": {"method": "dnad", "preset": "tiny", "device": "cpu"}, "space": SPACE}]),
    )
    for read in (best.network, lambda: best.predict(IMAGES), lambda: borrow_teacher(context, best.weights)):
        with pytest.raises(InputError, match=f"'{place}' holds NaN or infinity.*retrain.lr"):
            read()
