from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import attrs
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from sklearn.datasets import load_digits

from nasplug.compose import resolve
from nasplug.data import load_splits
from nasplug.errors import InputError, RunFailure
from nasplug.plugins import load_plugins
from nasplug.report import write_report
from nasplug.results.classifier import Classifier
from nasplug.results.export import FORMATS, export
from nasplug.results.export.parity import Sample, check, sample
from nasplug.results.export.run_images import find_test_images
from nasplug.results.result import choose_network, load
from nasplug.runs.context import new_context, write_start
from nasplug.runs.summary import write_result
from nasplug.store.networks import PlannedNetwork, save_network
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder

pytestmark = pytest.mark.slow

SPACE = {
    "cells": 2,
    "nodes": 2,
    "channels": 2,
    "operations": ["skip_connect", "dil_conv_5x5", "sep_conv_3x3", "max_pool_3x3"],
}
DIGITS = torch.from_numpy((load_digits().images * 255 / 16).round().astype(np.uint8))[:, None]
CHECKOUT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """What a run on digits leaves, with two networks that nobody has trained."""
    plugins = load_plugins()
    recipe = resolve(plugins, [{"run": {"method": "darts", "preset": "tiny", "device": "cpu"}, "space": SPACE}])
    context = new_context(RunFolder.create(tmp_path_factory.mktemp("exporting") / "run"), plugins, recipe)
    write_start(context, [])
    space, plans = context.composition.space, []
    torch.manual_seed(0)
    for seed in (0, 1):
        genotype = space.random(Random(seed))
        plans.append(PlannedNetwork("found", genotype, space.size(), space.cost(genotype, context.shape)))
        net = space.network(genotype, context.shape)
        net.classifier.weight.data *= 20  # probabilities that differ from image to image
        save_network(context.folder.weights(plans[-1].id), net, context.composition, plans[-1], context.preprocessing())
        context.folder.finish(plans[-1].phase, {"val_error": 0.5 + seed / 10, "train_loss": 1.0})
    write_result(context, "done", plans)
    return context.folder.path


@pytest.fixture
def run(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def classifier_of(network) -> Classifier:
    return Classifier.read(network.weights, load_plugins())


def test_a_classifier_gives_the_predictions_of_its_network(original):
    best = load(original).best()
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    assert torch.equal(classifier_of(best)(images), best.predict(images))
    assert classifier_of(best).classes == tuple("0123456789")


def test_safetensors_hold_the_weights_and_what_describes_them(run):
    best = load(run).best()
    written = export(best, "safetensors")

    assert written.path == run / "exports" / f"{best.id}.safetensors"
    assert (written.parity.images, written.parity.agreeing, written.parity.difference) == (48, 48, 0.0)
    with safe_open(written.path, framework="pt") as file:
        told = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    state = best.network().state_dict()
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], state[name]) for name in state)
    result = json.loads((run / "result.json").read_text())
    assert json.loads(told["classes"]) == [str(digit) for digit in range(10)]
    assert (json.loads(told["mean"]), json.loads(told["std"])) == (result["data"]["mean"], result["data"]["std"])
    assert json.loads(told["genotype"]) == best.genotype.to_dict()
    assert (told["id"], told["params"], told["method"], told["dataset"]) == (
        best.id,
        str(best.params),
        "darts",
        "digits",
    )
    assert sorted(path.name for path in (run / "exports").iterdir()) == [f"{best.id}.safetensors"]


def test_a_pt2_file_takes_raw_images_in_batches_of_any_size(run, tmp_path):
    network = load(run).networks[1]
    written = export(network, "pt2", tmp_path / "net.pt2")
    extra = {"nasplug.json": ""}
    module = torch.export.load(tmp_path / "net.pt2", extra_files=extra).module()

    assert written.parity.difference < 1e-5
    for count in (1, 7):
        torch.testing.assert_close(module(DIGITS[:count]), network.predict(DIGITS[:count]))
    assert json.loads(json.loads(extra["nasplug.json"])["classes"]) == [str(digit) for digit in range(10)]
    assert CHECKOUT.encode() not in (tmp_path / "net.pt2").read_bytes()


@pytest.mark.slow
def test_onnxruntime_makes_the_predictions_of_the_network(run, tmp_path):
    network = load(run).networks[0]
    path = tmp_path / "net.onnx"
    written = export(network, "onnx", path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    test = load_splits(run / "splits.safetensors").test
    (probabilities,) = session.run(None, {"images": DIGITS[test].numpy()})

    assert written.parity.source == "test images"
    assert written.parity.difference < 1e-5
    expected = network.predict(DIGITS[test])
    torch.testing.assert_close(torch.from_numpy(probabilities), expected)
    assert len(set(expected.argmax(1).tolist())) > 1
    form = [(each.name, each.type, each.shape) for each in (*session.get_inputs(), *session.get_outputs())]
    assert form[0] == ("images", "tensor(uint8)", ["batch", 1, 8, 8])
    assert form[1] == ("probabilities", "tensor(float)", ["batch", 10])

    model = onnx.load(path)
    told = {each.key: each.value for each in model.metadata_props}
    assert json.loads(told["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(told["genotype"]) == network.genotype.to_dict()
    assert (told["id"], told["params"], told["val_error"]) == (network.id, str(network.params), "0.5")
    assert CHECKOUT.encode() not in path.read_bytes()
    # 1x1 convolutions are convolutions, not the matrix products that are faster in training on a CPU.
    assert "MatMul" not in {node.op_type for node in model.graph.node}


def test_an_onnx_file_of_8_bits_is_smaller_and_answers_nearly_as_the_network(run, tmp_path):
    network = load(run).networks[0]
    whole = export(network, "onnx", tmp_path / "float.onnx")
    small = export(network, "onnx", tmp_path / "int8.onnx", int8=True, calibration=64)

    model = onnx.load(small.path)
    kinds = {node.op_type for node in model.graph.node}
    assert "QuantizeLinear" in kinds
    weights = [each.data_type for each in model.graph.initializer if len(each.dims) == 4]
    assert set(weights) == {onnx.TensorProto.INT8}
    assert all(
        abs(onnx.numpy_helper.to_array(each)).max() <= 64 for each in model.graph.initializer if len(each.dims) == 4
    )
    told = {each.key: each.value for each in model.metadata_props}
    assert (told["id"], json.loads(told["classes"])) == (network.id, [str(digit) for digit in range(10)])

    test = load_splits(run / "splits.safetensors").test
    labels = torch.from_numpy(load_digits().target[test])
    expected = network.predict(DIGITS[test]).argmax(1)
    session = onnxruntime.InferenceSession(small.path, providers=["CPUExecutionProvider"])
    answers = torch.from_numpy(session.run(None, {"images": DIGITS[test].numpy()})[0]).argmax(1)
    figures = small.figures
    assert figures.images == len(test)
    assert figures.agreeing == int((answers == expected).sum()) > 0.9 * len(test)
    assert figures.error == pytest.approx(float((answers != labels).float().mean()))
    assert figures.float_error == pytest.approx(float((expected != labels).float().mean()))
    assert (figures.bytes, figures.nodes) == (small.path.stat().st_size, len(model.graph.node))
    assert whole.figures.agreeing == len(test)
    assert small.parity is None


def test_the_result_keeps_what_was_exported_last_of_each_kind(run, tmp_path):
    network, other = load(run).networks[:2]
    for place, (each, int8) in enumerate([(network, False), (network, True), (other, False), (network, True)]):
        last = export(each, "onnx", tmp_path / f"{place}.onnx", int8=int8, calibration=16)
    kept = read_result(run).exports
    assert [(each.network, each.int8, each.file) for each in kept] == [
        (network.id, False, "0.onnx"),
        (other.id, False, "2.onnx"),
        (network.id, True, "3.onnx"),
    ]
    assert kept[-1] == last.figures
    page = write_report(run, {}).read_text()
    assert "On the device" in page
    assert f"{last.figures.bytes:,}" in page


def test_8_bits_are_refused_where_there_is_no_such_format_or_no_image_to_calibrate_on(run, tmp_path):
    network = load(run).best()
    with pytest.raises(InputError, match="no files in the format pt2 in 8 bits; take --format onnx, executorch"):
        export(network, "pt2", int8=True)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('name = "digits"', f'name = "folder:{tmp_path / "gone"}"'))
    with pytest.raises(InputError, match="calibrated on training images of its run, and they cannot be used"):
        export(load(run).best(), "onnx", int8=True)
    assert not (run / "exports").exists()


def test_python_code_needs_torch_alone_and_is_equal_in_float64(run, tmp_path):
    network = load(run).networks[0]
    written = export(network, "python", tmp_path / "digits.py")
    images = tmp_path / "images.pt"
    torch.save(DIGITS[:7], images)
    program = (
        "import sys, torch; sys.modules['nasplug'] = None; import digits; net = digits.load().double(); "
        f"torch.save(net(torch.load({str(images)!r})), {str(tmp_path / 'answers.pt')!r}); print(digits.CLASSES)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str([str(digit) for digit in range(10)])
    whole = classifier_of(network).double()
    mean, std = (values.reshape(-1, 1, 1) for values in (whole.mean, whole.std))
    expected = whole.net((DIGITS[:7].double() / 255 - mean) / std).softmax(1)
    torch.testing.assert_close(torch.load(tmp_path / "answers.pt"), expected, rtol=1e-10, atol=1e-12)
    assert written.parity.holds
    assert written.figures.bytes == sum((tmp_path / name).stat().st_size for name in ("digits.py", "digits.pt"))
    source = written.path.read_text()
    assert "nasplug" not in source
    assert max(map(len, source.splitlines())) < 1000
    written.path.unlink()
    with pytest.raises(InputError, match=r"digits.pt' exists already"):
        export(network, "python", written.path)


def test_real_images_are_those_of_the_test_split(run):
    classifier = classifier_of(load(run).best())
    found = sample(find_test_images(RunFolder(run), classifier, 10_000), classifier)
    test = load_splits(run / "splits.safetensors").test

    assert found.source == "test images"
    chosen = test[np.linspace(0, len(test) - 1, 48).round().astype(int)]
    assert torch.equal(found.images, DIGITS[chosen])


@pytest.mark.parametrize("damage", ["gone", "splits", "shape"])
def test_random_images_serve_where_the_data_are_not_at_hand(run, damage):
    classifier = classifier_of(load(run).best())
    recipe = run / "recipe.toml"
    if damage == "gone":
        recipe.write_text(recipe.read_text().replace('name = "digits"', 'name = "arrays:/nowhere.safetensors"'))
    elif damage == "splits":
        (run / "splits.safetensors").unlink()
    else:
        classifier.size = 9
    found = sample(find_test_images(RunFolder(run), classifier, 10_000), classifier)

    assert found.images.shape == (48, 1, classifier.size, classifier.size)
    assert found.source.startswith("random images (those of the run cannot be used: ")
    word = {"gone": "no file /nowhere", "splits": "splits", "shape": "now have 1 x 8 x 8"}[damage]
    assert word in found.source
    again = sample(find_test_images(RunFolder(run), classifier, 10_000), classifier)
    assert torch.equal(found.images, again.images)


def test_parity_tells_the_largest_difference_and_who_agrees():
    images = Sample(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), "test images")
    reference = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    sizes = []

    def off_by(change):
        answers = iter((reference + torch.tensor(change)).split([3, 1]))
        return lambda batch: (sizes.append(len(batch)), next(answers))[1]

    close = check(off_by([[1e-5, -1e-5]] * 4), lambda _: reference, images)
    far = check(off_by([[0.0, 0.0], [-0.15, 0.15], [0.0, 0.0], [0.0, 0.0]]), lambda _: reference, images)
    broken = check(off_by([[float("nan"), 0.0]] * 4), lambda _: reference, images)

    assert sizes == [3, 1] * 3
    assert close.holds
    assert str(close) == "On 4 test images: largest difference of a probability 1.0e-05, all predictions agree."
    assert not far.holds
    assert (far.difference, far.agreeing) == (pytest.approx(0.15), 3)
    assert not broken.holds


def test_a_single_image_is_enough_for_a_comparison():
    one = Sample(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), "test images")
    sizes = []

    def predict(batch):
        sizes.append(len(batch))
        return torch.tensor([[0.9, 0.1]])

    assert check(predict, lambda _: torch.tensor([[0.9, 0.1]]), one).holds
    assert sizes == [1]


def spoilt(change):
    """The format safetensors with something changed while it is written."""
    plain = FORMATS["safetensors"]

    def encode(classifier, metadata):
        return plain.encode(*change(classifier, dict(metadata)))

    return attrs.evolve(plain, encode=encode)


def without_mean(classifier, metadata):
    facts = json.loads(metadata["nasplug"])
    facts["data"]["mean"] = [0.0]
    return classifier, metadata | {"nasplug": json.dumps(facts)}


def other_weights(classifier, metadata):
    classifier.net.classifier.weight.mul_(0.9)
    return classifier, metadata


@pytest.mark.parametrize(
    ("change", "reason"), [(without_mean, "metadata could not be read"), (other_weights, "answers differ .*largest")]
)
def test_a_file_that_differs_from_the_network_never_appears(run, monkeypatch, change, reason):
    monkeypatch.setitem(FORMATS, "safetensors", spoilt(change))
    path = run / "net.safetensors"

    with pytest.raises(RunFailure, match=reason):
        export(load(run).best(), "safetensors", path)
    assert not path.exists()
    path.write_bytes(b"mine")
    with pytest.raises(RunFailure, match=reason):
        export(load(run).best(), "safetensors", path, force=True)
    assert path.read_bytes() == b"mine"
    assert not [each for each in run.iterdir() if each.name.startswith(".")]


def test_a_file_is_replaced_by_force_only(run):
    best = load(run).best()
    path = run / "net.safetensors"
    path.write_bytes(b"mine")

    with pytest.raises(InputError, match="--force"):
        export(best, "safetensors", path)
    assert path.read_bytes() == b"mine"
    export(best, "safetensors", path, force=True)
    assert path.read_bytes() != b"mine"


def test_files_of_another_kind_or_without_a_place_are_refused(run):
    best = load(run).best()
    (run / "folder.safetensors").mkdir()

    with pytest.raises(InputError, match=r"must end in '\.onnx'"):
        export(best, "onnx", run / "net.pt")
    with pytest.raises(InputError, match=r"folder\.safetensors' is a folder; name another file with --out\.$"):
        export(best, "safetensors", run / "folder.safetensors", force=True)
    with pytest.raises(RunFailure, match="cannot be written"):
        export(best, "safetensors", run / "recipe.toml" / "net.safetensors")


def test_a_full_disk_is_said_of_the_file_that_was_asked_for(run, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    path = tmp_path / "out" / "net.safetensors"
    with pytest.raises(RunFailure, match=rf"^'{path}' cannot be written: No space left on device\.$"):
        export(load(run).best(), "safetensors", path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("form", ["pt2", "python"])
def test_an_export_does_not_depend_on_the_defaults_of_the_program(run, tmp_path, form):
    suffix = FORMATS[form].suffix or form
    network = load(run).best()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        written = export(network, form, tmp_path / f"net.{suffix}")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert written.parity.holds


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_missing_packages_are_named_with_the_remedy(run, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InputError, match=r"pip install 'nasplug\[onnx\]'"):
        export(load(run).best(), "onnx")
    assert not (run / "exports").exists()


def test_a_network_is_chosen_by_the_beginning_of_its_id_or_by_limits(run):
    result = load(run)
    best, other = result.networks
    small = min(result.networks, key=lambda each: each.params)

    assert choose_network(result, None).id == best.id
    assert choose_network(result, None, {"params": small.params}).id == small.id
    assert choose_network(result, other.id[:3]).id == other.id
    with pytest.raises(InputError, match=rf"has no network 'zz'; it has {best.id} \(found, {best.params:,} params\), "):
        choose_network(result, "zz")
    with pytest.raises(InputError, match="has no network ''"):
        choose_network(result, "")
    with pytest.raises(InputError, match="limits choose among all"):
        choose_network(result, best.id, {"params": 10})


def test_a_beginning_of_two_ids_is_refused(run):
    text = (run / "result.json").read_text()
    first, second = (each.id for each in load(run).networks)
    RunFolder(run).write_result(json.loads(text.replace(second, first[:4] + second[4:])))

    with pytest.raises(InputError, match=f"'{first[:4]}' begins the ids of 2 networks"):
        choose_network(load(run), first[:4])


def test_a_network_that_was_not_trained_is_not_exported(run):
    result = json.loads((run / "result.json").read_text())
    name = result["networks"][1]["id"]
    result["networks"][1] |= {"weights": None, "source": "table"}
    RunFolder(run).write_result(result)

    with pytest.raises(InputError, match=f"'{name}' of '.*' has no weights"):
        export(choose_network(load(run), name), "safetensors")


def test_a_network_that_a_library_cannot_write_is_named_with_the_format(run, tmp_path, monkeypatch):
    def refuse(classifier, metadata):
        raise RuntimeError("no such function")

    monkeypatch.setitem(FORMATS, "onnx", attrs.evolve(FORMATS["onnx"], encode=refuse))
    with pytest.raises(RunFailure, match=r"into the format onnx \(no such function\); take another format\.$"):
        export(load(run).networks[0], "onnx", tmp_path / "network.onnx")
    assert not list(tmp_path.glob("network*"))


def test_a_file_that_answers_single_images_alone_is_not_written(run, tmp_path, monkeypatch):
    plain = FORMATS["safetensors"]

    def predict_one(images):
        (image,) = images
        return torch.zeros(1, 10, device=image.device)

    monkeypatch.setitem(
        FORMATS,
        "safetensors",
        attrs.evolve(plain, read=lambda path: attrs.evolve(plain.read(path), predict=predict_one)),
    )
    with pytest.raises(RunFailure, match=r"the format safetensors cannot run it \(too many values .*take another"):
        export(load(run).networks[0], "safetensors", tmp_path / "network.safetensors")
    assert not list(tmp_path.glob("network*"))


def test_a_file_that_its_own_program_cannot_run_is_not_written(run, tmp_path, monkeypatch):
    def refuse(path):
        raise RuntimeError("no such operation")

    monkeypatch.setitem(FORMATS, "onnx", attrs.evolve(FORMATS["onnx"], read=refuse))
    path = tmp_path / "network.onnx"
    with pytest.raises(RunFailure, match=r"the format onnx cannot run it \(no such operation\); take another format"):
        export(load(run).networks[0], "onnx", path)
    assert not list(tmp_path.glob("network*"))
