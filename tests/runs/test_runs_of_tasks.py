"""Whole runs of tasks that are no classification: searched, tested, reported, resumed, predicted and exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import nasplug as package
from nasplug.data import load_splits
from nasplug.errors import InputError
from nasplug.parts import ImageData, MultiLabel, Regression
from nasplug.store.run_folder import read_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]

NAMES = ["top", "left"]
SHORT = (
    *("run", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--device", "cpu", "--set", "search.epochs=1"),
    *("--set", "search.batch_size=16", "--set", "retrain.epochs=1", "--set", "retrain.batch_size=16"),
    *("--set", "retrain.channels=2", "--set", "select.networks=1"),
)


@pytest.fixture(scope="module")
def images():
    pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scaled = pixels / 255
    return pixels, torch.stack([scaled[:, :4].mean((1, 2, 3)), scaled[:, :, :4].mean((1, 2, 3))], 1)


@pytest.fixture(scope="module")
def labels_file(images, tmp_path_factory):
    pixels, means = images
    path = tmp_path_factory.mktemp("data") / "labels.safetensors"
    having = (means > means.median(0).values).to(torch.uint8)
    save_file({"images": pixels, "labels": having}, path, {"classes": json.dumps(NAMES)})
    return path


@pytest.fixture(scope="module")
def numbers_file(images, tmp_path_factory):
    pixels, means = images
    path = tmp_path_factory.mktemp("data") / "numbers.safetensors"
    save_file({"images": pixels, "labels": 100 * means + 20}, path, {"classes": json.dumps(NAMES)})
    return path


@pytest.fixture
def image(images, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(images[0][0, :, :, 0].numpy()).save(path)
    return path


def errors_by_hand(run, file, network):
    """The error of a network on the test images, from its answers alone."""
    tensors, splits = load_file(file), load_splits(run / "splits.safetensors")
    answers = network.predict(tensors["images"][splits.test].permute(0, 3, 1, 2)).double()
    targets = tensors["labels"][splits.test].double()
    if file.stem == "labels":
        return float(((answers > 0.5) != (targets > 0.5)).double().mean())
    known = tensors["labels"][splits.train].double()
    std = known.std(0, correction=0)
    unexplained, all_of_it = ((targets - each) / std for each in (answers, known.mean(0)))
    return float(unexplained.square().sum() / all_of_it.square().sum())


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_a_run_goes_to_its_end_and_its_network_is_used(here, kind, request, tmp_path, image):
    file, run = request.getfixturevalue(f"{kind}_file"), tmp_path / "run"
    done = here(*SHORT, "--method", "darts", "--data", f"arrays:{file}", "--out", run)
    assert done.exit_code == 0, done.output
    best = package.load(run).best()
    assert best.test_error == pytest.approx(errors_by_hand(run, file, best), rel=1e-4)

    result = read_json(run / "result.json", "")
    assert result["data"]["task"]["name"] == {"labels": "multi-label", "numbers": "regression"}[kind]
    assert any(note.startswith("The task is ") for note in result["notes"])
    entry = next(each for each in result["networks"] if each["id"] == best.id)
    assert entry["confusion"] is None
    assert len(entry["test_error_by_class"]) == len(NAMES)
    assert "The task is " in (run / "report.html").read_text()

    said = here("export", run, "--format", "onnx")
    assert said.exit_code == 0, said.output
    assert ", all predictions agree." in said.stdout
    (exported,) = (run / "exports").glob("*.onnx")
    answers = [
        json.loads(here("predict", *source, image, "--json").stdout)[0] for source in ((run,), ("--from", exported))
    ]
    told = dict(zip(NAMES, best.predict(image)[0].tolist(), strict=True))
    if kind == "labels":
        expected = {name: value for name, value in told.items() if value > 0.5}
        found = [{row["label"]: row["probability"] for row in answer["labels"]} for answer in answers]
    else:
        expected = told
        found = [{row["output"]: row["value"] for row in answer["outputs"]} for answer in answers]
        assert all(30 < value < 110 for value in told.values())  # in the unit of the targets, whose mean is near 70
    assert found == [pytest.approx(expected, rel=1e-4)] * 2


QUICK = {
    "preset": "tiny",
    "device": "cpu",
    "search": {"epochs": 1, "batch_size": 16},
    "retrain": {"epochs": 1, "batch_size": 16, "channels": 2},
    "select": {"networks": 1},
    "run": {"threads": 1, "jobs": 1, "checkpoint_seconds": 0.0, "measure_every": 0},
}


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(here, numbers_file, tmp_path):
    whole, stopped = (
        package.search(data=f"arrays:{numbers_file}", method="dnad", out=tmp_path / name, **QUICK)
        for name in ("whole", "stopped")
    )
    expected = [network.test_error for network in whole.result().networks]
    for event in stopped:
        if event["event"] == "step" and event["phase"] == "search":
            break
    done = here("resume", stopped.run)
    assert done.exit_code == 0, done.output
    assert [network.test_error for network in package.load(stopped.run).networks] == expected


def test_blocks_learn_from_a_teacher_of_labels(labels_file, tmp_path):
    result = package.search(data=f"arrays:{labels_file}", method="dna", out=tmp_path / "run", **QUICK).result()
    assert all(0 <= network.test_error <= 1 for network in result.networks)


def test_other_numbers_at_the_same_images_end_a_resume(here, numbers_file, tmp_path):
    file, run = tmp_path / "numbers.safetensors", tmp_path / "run"
    file.write_bytes(numbers_file.read_bytes())
    package.search(data=f"arrays:{file}", method="darts", out=run, **QUICK)
    tensors = load_file(file)
    tensors["labels"][3, 1] += 1
    save_file(tensors, file, {"classes": json.dumps(NAMES)})
    refused = here("resume", run)
    assert refused.exit_code == 2
    assert "with other targets: number 3" in refused.stderr


def as_python(images, kind):
    pixels, means = images
    values = (means > 0.5) if kind == "labels" else means
    return pixels.permute(0, 3, 1, 2), values


@pytest.mark.parametrize(("kind", "task"), [("labels", MultiLabel), ("numbers", Regression)])
def test_columns_of_a_program_name_their_task(images, kind, task, tmp_path):
    search = package.search(data=as_python(images, kind), method="darts", out=tmp_path / "run", **QUICK)
    assert read_json(search.run / "data.json", "")["task"]["name"] == task.name


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("labels", {"teacher": "voting"}, "The teacher 'voting' is for the task classification"),
        ("labels", {"search": {"balance": "weights"}}, "search.balance=weights .* multi-label, has none"),
        ("numbers", {"retrain": {"balance": "sampling"}}, "retrain.balance=sampling .* regression, has none"),
        ("numbers", {"select": {"by": "balanced"}}, "select.by=balanced .* regression, has no classes"),
    ],
)
def test_what_is_for_classes_alone_is_refused(images, kind, options, words, tmp_path):
    with pytest.raises(InputError, match=words):
        package.search(
            data=as_python(images, kind), method="darts", preset="tiny", device="cpu", out=tmp_path / "run", **options
        )


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([[0, 2]] * 80), "that of image 0 in column 1 is 2"),
        (np.array([[0.0, 1.0]] * 80), "all of them are 0 or 1, as for labels"),
        (np.full((80, 2), np.nan, np.float32), "must be finite numbers"),
        (np.arange(160, dtype=np.uint8).reshape(80, 2) % 2, "The label '0' of data set .* is on 0 of"),
        (np.zeros((79, 2), np.uint8), "80 images and 79 labels"),
    ],
)
def test_columns_that_say_nothing_are_refused(images, labels, words, tmp_path):
    with pytest.raises(InputError, match=words):
        package.search(
            data=(images[0].permute(0, 3, 1, 2), labels), method="darts", preset="tiny", out=tmp_path / "run"
        )


def test_a_data_set_may_name_a_task_that_its_targets_have_not(images, tmp_path):
    from nasplug.data import MemoryImages

    train = MemoryImages(images[0].permute(0, 3, 1, 2), np.zeros((80, 2), np.float32))
    data = ImageData("mine", ("a", "b"), 8, 1, train, None, task=MultiLabel())
    with pytest.raises(InputError, match=r"must be uint8 \(N, 2\)"):
        package.search(data=data, method="darts", preset="tiny", out=tmp_path / "run")
