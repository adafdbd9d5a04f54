"""What the command line says to bad input: one sentence with a remedy, exit code 2, and nothing left behind.

Commands run in this process, where torch is imported once.
"""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import nasplug as package
from nasplug.cli import main
from nasplug.errors import InputError
from nasplug.store.files import encode_tensors
from nasplug.store.run_folder import RunFolder

pytestmark = pytest.mark.slow

SMALL = ("--preset", "tiny", "--jobs", "1", "--threads", "1", "--epochs", "1")
SMALL += ("--set", "select.networks=1", "--set", "retrain.epochs=1", "--set", "retrain.widths=4")
SMALL += ("--set", "data.validation=0")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """A working directory of its own for each test: run folders without --out are made under runs/."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    monkeypatch.delenv("NASPLUG_DEBUG", raising=False)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def refused(result: Result, *remedy: str, notes: int = 0) -> None:
    """`result` is a refusal whose one line has all the words of the `remedy`, after `notes` on the work before it."""
    assert result.exit_code == 2, result.output
    *said, sentence = result.stderr.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["Note:"] * notes
    assert sentence.startswith("Error: ")
    for word in remedy:
        assert word in sentence


def run_refused(*words: object, remedy: tuple[str, ...]) -> None:
    """`nasplug run` refuses these words before it makes a run folder, named or not."""
    refused(call("run", *SMALL, *words), *remedy)
    assert not Path("runs").exists()
    refused(call("run", *SMALL, *words, "--out", "mine/here"), *remedy)
    assert not Path("mine").exists()


def arrays(path: Path, **changes: torch.Tensor) -> Path:
    """Grey images of 8x8 pixels in two classes: bright on the left or on the right."""
    labels = torch.arange(64) % 2
    images = torch.randint(0, 60, (64, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[labels == 0, :, :4] += 150
    images[labels == 1, :, 4:] += 150
    tensors = {"images": images, "labels": labels} | changes
    save_file({name: each.contiguous() for name, each in tensors.items()}, path)
    return path


def folder(path: Path, count: int = 12) -> Path:
    """A folder with PNG files of 9x11 pixels in two classes."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, count, 11, 9, 3), dtype=np.uint8)
    for label, name in enumerate(("cats", "dogs")):
        (path / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pixels[label, number]).save(path / name / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of `dnad` on arrays with a test set."""
    place = tmp_path_factory.mktemp("bad_input")
    tests = arrays(place / "tests.safetensors")
    held_out = {"test_images": load_file(tests)["images"][:10], "test_labels": load_file(tests)["labels"][:10]}
    data = arrays(place / "images.safetensors", **held_out)
    result = call("run", *SMALL, "--data", f"arrays:{data}", "--out", place / "run")
    assert result.exit_code == 0, result.output
    return place / "run"


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """A copy of that run, to damage."""
    return Path(shutil.copytree(original, tmp_path / "run"))


def weights_of(run: Path) -> Path:
    return run / "weights" / f"{json.loads((run / 'result.json').read_text())['best']}.safetensors"


def rewrite(path: Path, change: Callable[[dict], object]) -> None:
    """Changes the facts in the metadata of a file that nasplug wrote."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["nasplug"])
    change(facts)
    save_file(load_file(path), path, {"nasplug": json.dumps(facts)})


# Names, options and values.


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("--space", "dart"), "darts"),
        (("--optimizer", "bilevle"), "bilevel"),
        (("--schedule", "shrnk"), "shrink"),
        (("--teacher", "featurs"), "features"),
        (("--method", "dnadd"), "dnad"),
        (("--preset", "tinny"), "tiny"),
        (("--data", "digitz"), "digits"),
        (("--set", "space.part=dart"), "darts"),
        (("--set", "space.chanels=3"), "channels"),
        (("--set", "serach.epochs=3"), "search"),
        (("--set", "data.validatoin=0"), "validation"),
    ],
)
def test_unknown_names_get_the_nearest_known_one(words, near):
    run_refused(*words, remedy=(f"Did you mean '{near}'?", "Known: "))


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"[space]\nchanels = 3\n", "Did you mean 'channels'?"),
        (b"[serach]\nepochs = 3\n", "Did you mean 'search'?"),
        (b"[space]\npart = 3\n", "must be the name of a part"),
        (b"run = 3\n", "must be a section"),
        (b"[run\n", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"[run]\nmethod = 3\n", "must be a word"),
        (b"[run]\ndevice = 3\n", "use auto, cpu, cuda"),
    ],
)
def test_bad_configuration_files_are_refused(tmp_path, content, remedy):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)

    run_refused("--config", path, remedy=(remedy,))


def test_configuration_that_is_not_there_is_refused(tmp_path):
    run_refused("--config", tmp_path, remedy=("cannot be read: Is a directory",))
    run_refused("--config", tmp_path / "none.toml", remedy=("cannot be read: No such file",))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--epochs", "0"), "'epochs' must be at least 1"),
        (("--set", "retrain.batch_size=1"), "'batch_size' must be at least 2"),
        (("--set", "search.lr=-1"), "'lr' must be above 0"),
        (("--set", "search.lr=nan"), "must be a finite number"),
        (("--set", "search.lr=inf"), "must be a finite number"),
        (("--set", f"search.lr=1{'0' * 400}"), "must be a number"),
        (("--set", "search.lr="), "must be a number"),
        (("--set", "search.lr"), "--set takes SECTION.OPTION=VALUE"),
        (("--set", "space.channels=two"), "must be a whole number"),
        (("--set", "space.channels=1"), "'channels' must be at least 2"),
        (("--set", "space.operations=[1, 2]"), "must be a word"),
        (("--set", "space.part=3"), "must be the name of a part"),
        (("--set", "search.betas=0.9"), "takes 2 values"),
        (("--set", "search.betas=[2.0, 0.9]"), "'betas' must be below 1"),
        (("--set", "retrain.widths=[0]"), "'widths' must be at least 1"),
        (("--set", "retrain.widths=[1]"), "must be at least 2"),
        (("--set", "retrain.channels=1"), "must be at least 2"),
        (("--set", "retrain.cells=5"), "retrain.cells"),
        (("--seed", "-1"), "'seed' must be at least 0"),
        (("--jobs", "0"), "'jobs' must be at least 1"),
        (("--threads", "0"), "'threads' must be at least 1"),
        (("--max-params", "0"), "budget.params: '0' is no amount; write a number above 0"),
        (("--budget", "params"), "--budget takes COST=LIMIT"),
        (("--budget", "parms=5k"), "Did you mean 'params'?"),
        (("--budget", "latency=2kg"), "'2kg' is no amount in ms"),
        (("--budget", "params=20k,50k", "--budget", "macs=1M,2M,3M"), "2 of params and 3 of macs"),
        (("--set", "budget.params=[]"), "budget.params has no limit"),
        (("--set", "budget.params=true"), "budget.params must be an amount"),
        (("--set", "budget.weight=-1"), "'weight' must be at least 0"),
        (("--set", "latency.runtime=tpu"), "it is one of auto, onnxruntime, torch"),
        (("--precision", "fp8"), "it is one of auto, float32, bf16"),
        (("--set", "data.validation=2"), "use a smaller data.validation"),
    ],
)
def test_values_that_cannot_be_had_are_refused(tmp_path, words, remedy):
    # The arrays are few: no share of them is as large as a validation set must be.
    run_refused("--data", f"arrays:{arrays(tmp_path / 'a')}", *words, remedy=(remedy,))


@pytest.mark.parametrize("device", ["cuda:7", "mps", "gpu", "cuda:x", "cuda:-1", "cpu:3", "meta", ""])
def test_devices_that_are_not_there_are_refused(device):
    run_refused("--device", device, remedy=("cpu",))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_there_is_none():
    run_refused("--device", "cuda", remedy=("Use --device cpu.",))


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--method", "snps", "--optimizer", "random"), ("bilevel, one-level", "keep")),
        (("--method", "dnad", "--optimizer", "random"), ("bilevel, one-level", "keep")),
        (("--method", "dnad", "--optimizer", "random", "--schedule", "keep"), ("teachers that fit: labels",)),
        (
            ("--method", "darts", "--set", "optimizer.order=second", "--set", "search.optimizer=adam"),
            ('search.optimizer = "sgd"', 'optimizer.order = "first"'),
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_those_that_do(words, remedy):
    run_refused(*words, remedy=remedy)


# Data.


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("cifar10",), "give --data-root FOLDER"),
        (("cifar10", "--data-root", "."), "add --download"),
        (("cifar10", "--data-root", "nowhere"), "add --download"),
        (("cifar10:x",), "use --data cifar10"),
        (("digits:x",), "use --data digits"),
        (("folder:/nowhere",), "needs a folder with one folder per class"),
        (("folder:~nobody-of-this-name/x",), "needs a folder with one folder per class"),
        (("folder",), "use --data folder:PATH"),
        (("arrays:/nowhere",), "needs a safetensors or npz file"),
        (("arrays:~nobody-of-this-name/x",), "needs a safetensors or npz file"),
        (("arrays:",), "use --data arrays:FILE"),
        (("",), "Known: arrays"),
    ],
)
def test_data_that_are_not_there_are_refused(words, remedy):
    run_refused("--data", *words, remedy=(remedy,))
    assert not any(Path().iterdir())


@pytest.mark.parametrize("content", [b"", b"no tensors", None], ids=["empty", "text", "truncated"])
def test_damaged_arrays_are_refused(tmp_path, content):
    path = arrays(tmp_path / "images.safetensors")
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)

    run_refused("--data", f"arrays:{path}", remedy=("is damaged", "write it again"))


def labels(last: int) -> torch.Tensor:
    return torch.cat([torch.arange(63) % 2, torch.tensor([last])])


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"labels": labels(5)}, "labels[63] is 5"),
        ({"labels": labels(-1)}, "labels[63] is -1"),
        ({"labels": torch.zeros(64, dtype=torch.int64)}, "at least two different classes"),
        ({"labels": torch.rand(64)}, "must be whole numbers"),
        ({"labels": labels(0)[:63]}, "each image needs one label"),
        ({"images": torch.zeros(64, 8, 9, 1, dtype=torch.uint8)}, "crop or pad them"),
        ({"images": torch.zeros(64, 8, 8, 2, dtype=torch.uint8)}, "with C 1 or 3"),
        ({"images": torch.zeros(64, 8, 8, 1)}, "must be uint8"),
        ({"images": torch.zeros(3, 8, 8, 1, dtype=torch.uint8), "labels": labels(0)[:3]}, "use more images"),
        ({"test_images": torch.zeros(2, 8, 8, 1, dtype=torch.uint8)}, "no array 'test_labels'"),
        (
            {"test_images": torch.zeros(2, 8, 8, 1, dtype=torch.uint8), "test_labels": torch.tensor([0, 7])},
            "test_labels[1] is 7",
        ),
        ({"extra": torch.zeros(1)}, "known: "),
    ],
)
def test_arrays_that_make_no_data_set_are_refused(tmp_path, changes, remedy):
    path = arrays(tmp_path / "images.safetensors", **changes)

    run_refused("--data", f"arrays:{path}", remedy=(remedy,))


def test_more_images_for_validation_than_for_training_are_refused(tmp_path):
    path = arrays(tmp_path / "images.safetensors")

    remedy = "use a smaller data.validation (at most 0.39"
    run_refused("--data", f"arrays:{path}", "--set", "data.validation=0.6", remedy=(remedy,))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "folder", "dangling"])
def test_damaged_image_files_are_refused_by_name(tmp_path, damage):
    path = folder(tmp_path / "images") / "cats" / "3.png"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "dangling":
        path.symlink_to(tmp_path / "nowhere.png")
    else:
        path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])

    run_refused("--data", f"folder:{tmp_path / 'images'}", remedy=(str(path), "repair or remove it"))


def test_folders_that_make_no_data_set_are_refused(tmp_path):
    path = folder(tmp_path / "images", count=2)
    words = ("--data", f"folder:{path}")

    run_refused(*words, remedy=("use more images of this class",))
    run_refused(*words, "--set", "data.channels=2", remedy=("it is one of 1, 3",))
    run_refused(*words, "--set", "data.size=0", remedy=("must be at least 8",))
    for image in (path / "dogs").iterdir():
        image.unlink()
    run_refused(*words, remedy=("put some directly into it, or remove it",))
    (path / "dogs").rmdir()
    run_refused(*words, remedy=("at least two classes", "only 'cats'"))


# Run folders.


def test_existing_places_are_never_written_to(original, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in original.rglob("*")}
    file = tmp_path / "file"
    file.write_text("mine")

    refused(call("run", *SMALL, "--out", original), f"'nasplug resume {original}'", "--out")
    refused(call("retrain", original, "--out", original), f"'nasplug resume {original}'", "--out")
    refused(call("run", *SMALL, "--out", tmp_path), "name another folder with --out")
    refused(call("run", *SMALL, "--out", file), "name another folder with --out")
    refused(call("run", *SMALL, "--out", file / "below"), "cannot be made")
    # There is no run to resume in either.
    assert "resume" not in call("run", *SMALL, "--out", file).stderr
    assert "resume" not in call("run", *SMALL, "--out", tmp_path).stderr
    assert {path: path.stat().st_mtime_ns for path in original.rglob("*")} == before
    assert file.read_text() == "mine"


def test_an_empty_folder_of_the_user_outlives_a_refusal(tmp_path):
    refused(call("run", *SMALL, "--data", "folder:/nowhere", "--out", tmp_path), "There is no folder")

    assert tmp_path.is_dir()
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_taken_back_leaves_its_neighbours(tmp_path):
    folder = RunFolder.create(tmp_path / "runs" / "001")
    (tmp_path / "runs" / "002").mkdir()
    (folder.path / "phases").mkdir()
    folder.discard()

    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["002"]


@pytest.mark.parametrize("command", ["resume", "retrain", "report"])
def test_what_is_no_run_folder_is_refused(tmp_path, command):
    (tmp_path / "file").write_text("mine")

    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        refused(call(command, path), "is no run folder", "nasplug run --out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert not Path("runs").exists()


def test_show_refuses_what_is_neither_a_name_nor_a_run(tmp_path):
    refused(call("show", tmp_path), "run folder", "Known: ")


@pytest.mark.parametrize("command", ["resume", "retrain", "report"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: b"\xff\xfe",
        lambda text: text[: len(text) // 3],
        lambda text: b"run = 3\n",
        lambda text: text.replace(b"[search]", b"[saerch]"),
    ],
    ids=["empty", "bytes", "truncated", "number", "section"],
)
def test_damaged_recipes_are_refused(run, command, damage):
    path = run / "recipe.toml"
    path.write_bytes(damage(path.read_bytes()))

    refused(call(command, run), str(path), "is damaged", "restore it, or start a new run")
    assert not Path("runs").exists()


def test_recipes_with_an_unknown_option_are_refused(run):
    path = run / "recipe.toml"
    path.write_text(path.read_text().replace("seed = ", "seeed = "))

    refused(call("resume", run), "Did you mean 'seed'?")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"schema": 1}', '{"schema": 9}', '{"a":' * 9999], ids=lambda text: text[:14]
)
def test_damaged_results_are_refused(run, content):
    (run / "result.json").write_text(content)

    refused(call("show", run), "result.json")
    refused(call("report", run), "result.json")
    with pytest.raises(InputError, match=r"result\.json"):
        package.load(run)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (lambda result: result.update(networks=3), "must be a list"),
        (lambda result: result.update(front=3), "must be a list"),
        (lambda result: result["networks"][0].pop("params"), "lacks 'params'"),
        (lambda result: result["networks"][0].update(params="many"), "'params' must be a whole number"),
        (lambda result: result.update(best="gone"), "no network 'gone'"),
        (lambda result: result.update(front=["gone"]), "no network 'gone'"),
    ],
)
def test_results_with_damaged_entries_are_refused(run, change, remedy):
    path = run / "result.json"
    result = json.loads(path.read_text())
    change(result)
    path.write_text(json.dumps(result))

    refused(call("show", run), remedy, f"nasplug resume {run}")
    with pytest.raises(InputError, match=remedy):
        package.load(run)


def test_resume_writes_a_damaged_result_anew(run):
    path = run / "result.json"
    before = path.read_text()
    path.write_text("{")

    assert call("resume", run).exit_code == 0
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("file", "content", "remedy"),
    [
        ("splits.safetensors", b"x", "start the run again"),
        ("splits.safetensors", None, "start the run again"),
        ("events.jsonl", b"garbage\n", "restore it"),
        ("events.jsonl", b"\xff\n", "restore it"),
        ("events.jsonl", b'{"event": "step"}\n', "restore it"),
        ("events.jsonl", b"3\n", "restore it"),
        ("phases/search/done.json", b"x", "done.json' is damaged"),
    ],
)
def test_damaged_files_of_a_run_are_refused(run, file, content, remedy):
    path = run / file
    path.unlink() if content is None else path.write_bytes(content)

    refused(call("resume", run), path.name, remedy)
    # A refused retraining takes its copies away again.
    refused(call("retrain", run, "--epochs", "1"), path.name, remedy)
    assert not Path("runs").exists()


@pytest.mark.parametrize("content", ["{}", '{"plans": [{}]}', '{"plans": 3}'])
def test_a_damaged_selection_is_refused(run, content):
    (run / "phases/select/done.json").write_text(content)

    for command in ("resume", "report"):
        refused(call(command, run), "remove it to select again")


def test_a_run_without_its_events_has_nothing_to_retrain(run):
    (run / "events.jsonl").unlink()

    refused(call("retrain", run, "--epochs", "1"), "holds no architecture", "restore it")


def test_a_resume_that_is_refused_leaves_the_networks_of_a_finished_run_in_its_result(run):
    before = json.loads((run / "result.json").read_text())["networks"]
    (run / "phases/select/done.json").write_text("{}")
    refused(call("resume", run), "phases/select", "damaged")
    assert json.loads((run / "result.json").read_text())["networks"] == before != []


def test_retraining_refuses_options_of_the_search(original):
    refused(
        call("retrain", original, "--set", "search.lr=1"),
        "options of retrain, select, budget, run, executor and cost measures, and data.folds",
        "--config",
    )
    for setting in ("run.method=darts", "run.preset=laptop", "run.measure_every=1", "budget.weight=3"):
        name = setting.partition("=")[0]
        refused(call("retrain", original, "--set", setting), f"'{name}' belongs to the search", "--config")
    refused(call("retrain", original, "--set", "retrain.epohcs=1"), "Did you mean 'epochs'?")
    refused(call("retrain", original, "--epochs", "0"), "must be at least 1")
    assert not Path("runs").exists()


@pytest.mark.parametrize("damage", ["truncated", "text", "foreign", "facts"])
def test_damaged_checkpoints_are_refused(run, damage):
    (run / "phases/search/done.json").unlink()
    path = run / "phases/search/checkpoint.safetensors"
    content = path.read_bytes()
    if damage in ("truncated", "text"):
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"x")
    else:
        facts = "{}" if damage == "foreign" else '{"stage": 0, "step": 1}'
        save_file({"x": torch.zeros(1)}, path, {"nasplug": facts})

    refused(call("resume", run), str(path), "remove it")
    assert json.loads((run / "result.json").read_text())["status"] == "failed"


# Weights and teachers.


@pytest.mark.parametrize("damage", ["truncated", "text", "missing", "bare", "tensors"])
def test_damaged_weights_are_refused(run, original, damage):
    path = weights_of(run)
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        path.write_bytes(b"x")
    elif damage != "missing":
        facts = None
        if damage == "tensors":
            with safe_open(weights_of(original), framework="pt") as file:
                facts = file.metadata()
        save_file({"x": torch.zeros(1)}, path, facts)

    with pytest.raises(InputError, match=path.name):
        package.load(run).best().network()
    remedy = (str(path), "folder of a run, a weights file" if damage == "missing" else "restore it")
    run_refused("--method", "dnad", "--teacher-from", path, remedy=remedy)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("data"),
        lambda facts: facts.update(data=3),
        lambda facts: facts["data"].pop("mean"),
        lambda facts: facts["data"].update(channels="x"),
        lambda facts: facts["data"].update(classes=3),
        lambda facts: facts.update(space=3),
        lambda facts: facts["space"].update(part=3),
        lambda facts: facts["space"].update(options=3),
    ],
)
def test_weights_with_a_damaged_description_are_refused(run, change):
    rewrite(weights_of(run), change)

    with pytest.raises(InputError, match="does not fit its own description"):
        package.load(run).best().network()
    run_refused("--method", "dnad", "--teacher-from", weights_of(run), remedy=("does not fit", "restore it"))


def test_teachers_that_do_not_fit_are_refused(original, tmp_path):
    for source in (original, weights_of(original)):
        run_refused("--method", "dnad", "--teacher-from", source, remedy=("was trained for classes", "name a network"))
        run_refused("--method", "snps", "--teacher-from", source, remedy=("uses none", "--teacher features"))
    run_refused(
        "--method", "dnad", "--teacher-from", "nowhere", remedy=("folder of a run, a weights file, or", "timm:resnet18")
    )
    run_refused("--method", "dnad", "--teacher-from", tmp_path, remedy=("is no run folder",))


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_teacher_that_diverged_is_refused(run, value):
    path, data = weights_of(run), f"arrays:{run.parent / 'images.safetensors'}"
    arrays(run.parent / "images.safetensors")
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    next(tensor for name, tensor in tensors.items() if name.endswith("running_var"))[0] = value
    path.write_bytes(b"".join(encode_tensors(tensors, facts)))

    run_refused("--method", "dnad", "--data", data, "--teacher-from", path, remedy=("NaN or infinity", "retrain.lr"))


def test_a_teacher_of_a_run_without_networks_is_refused(run):
    shutil.rmtree(run / "phases" / "teacher")
    (run / "result.json").write_text("{}")

    run_refused("--method", "dnad", "--teacher-from", run, remedy=(f"nasplug resume {run}",))


# Genotypes.

PUBLISHED = "Genotype(normal=[('sep_conv_3x3', {}), ('{}', 1)], reduce=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)])"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("nonsense", "JSON or one Genotype(normal=..., reduce=...)"),
        ("", "JSON or one Genotype(normal=..., reduce=...)"),
        ("none.json", "There is no genotype file 'none.json'"),
        ("runs/001/genotypes/none", "There is no genotype file"),
        ("nonsense (", "neither JSON nor a published Genotype"),
        ("print(1)", "JSON or one Genotype(normal=..., reduce=...)"),
        ("{", "not JSON"),
        ("{}", "reads schema 1"),
        ('{"a":' * 99999, "not JSON"),
        ("(" * 99999, "neither JSON nor a published"),
        (f'{{"schema": {"9" * 5000}}}', "not JSON"),
        ("\0(", "neither JSON nor a published"),
        (PUBLISHED.format(0, "sep_konv_3x3"), "Did you mean 'sep_conv_3x3'?"),
        (PUBLISHED.format(2, "sep_conv_3x3"), "from 0 to 1, but 2"),
        (PUBLISHED.format(-1, "sep_conv_3x3"), "names, numbers, lists and range"),
        ("Genotype(normal=[('sep_conv_3x3', 0)] * 10**9, reduce=[])", "names, numbers, lists and range"),
        ("Genotype(normal=[('sep_conv_3x3', 0)])", "lacks the field 'reduce'"),
    ],
    ids=range(17),
)
def test_genotypes_that_cannot_be_read_are_refused(text, remedy):
    refused(call("cost", "--genotype", text), remedy)


@pytest.mark.parametrize("form", ["{}", "Genotype(normal={}, reduce=[])", "Genotype({})", "Genotype(**{})"])
def test_genotypes_are_never_evaluated(form):
    refused(call("cost", "--genotype", form.format("__import__('os').system('touch hacked')")), "genotype")
    refused(call("cost", "--genotype", form.format("open('hacked', 'w')")), "genotype")
    assert not Path("hacked").exists()


@pytest.fixture
def genotype(original) -> dict:
    return json.loads(next((original / "genotypes").iterdir()).read_text())


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"schema": 9}, "reads schema 1"),
        ({"space": "mbconv"}, "not to 'darts'"),
        ({"picks": 3}, "needs 'space'"),
        ({"picks": {}}, "has the cells"),
        ({"picks": {"0/3": ["skip_connect@0"]}}, "numbered from 2"),
        ({"picks": {"0/²": ["skip_connect@0"]}}, "such as 'normal/2'"),
        ({"picks": {"0/2": []}}, "at least one candidate"),
        ({"picks": {"0/2": [3]}}, "list of candidate names"),
        ({"picks": {"0/2": ["sep_konv_3x3@0"]}}, "Did you mean 'sep_conv_3x3'?"),
        ({"picks": {"0/2": ["none@0"]}}, "Known: avg_pool_3x3"),
        ({"picks": {"0/2": ["skip_connect@2"]}}, "from 0 to 1"),
        ({"picks": {"0/2": ["skip_connect@-1"]}}, "operation@input"),
        ({"picks": {"0/2": [f"skip_connect@{'9' * 5000}"]}}, "operation@input"),
    ],
)
def test_genotypes_of_another_form_are_refused(genotype, change, remedy):
    refused(call("cost", "--genotype", json.dumps(genotype | change)), remedy)


def test_costs_of_other_sizes_and_sections_are_refused(genotype, tmp_path):
    words = ("cost", "--genotype", json.dumps(genotype))

    assert call(*words, "--set", "space.cells=3").exit_code == 0
    refused(call(*words, "--set", "space.cells=9"), "set cells=3")
    refused(call(*words, "--set", "search.lr=1"), "no section of options here 'search'", "Known: space.")
    refused(call(*words, "--set", "space.cels=3"), "Did you mean 'cells'?")
    refused(call(*words, "--set", "space.channels=two"), "whole number")
    refused(call(*words, "--space", "dart"), "Did you mean 'darts'?")
    path = tmp_path / "genotype.json"
    path.write_bytes(b"\xff\xfe\x00")
    refused(call("cost", "--genotype", path), "is not text")
    nodes = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    refused(call("cost", "--space", "nb201", "--genotype", nodes, "--set", "space.cells=9999999999"), "at most 1000")


# Whole runs.


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--budget", "params=100"), "the smallest known has"),
        (("--set", "selector.share=0.001"), "use more images or another share"),
        (("--set", "teacher.model=mobilenet_v3_small", "--set", "teacher.weights=list.pth"), "must hold a state dict"),
    ],
)
def test_what_a_search_would_be_refused_for_is_refused_before_the_teacher_is_trained(tmp_path, words, remedy):
    torch.save([1, 2], "list.pth")
    run_refused("--method", "dna", "--data", f"arrays:{arrays(tmp_path / 'a')}", *words, remedy=(remedy,))


def test_a_run_on_arrays_measures_their_test_images(original):
    result = json.loads((original / "result.json").read_text())

    assert (result["status"], result["splits"]) == ("done", {"train": 64, "validation": 0, "test": 10})
    assert all(network["test_error"] in [number / 10 for number in range(11)] for network in result["networks"])


@pytest.mark.slow
def test_a_limit_that_no_network_meets_fails_after_the_search(original, tmp_path):
    data = original.parent / "images.safetensors"
    out = tmp_path / "limited"
    words = ("--method", "darts", "--data", f"arrays:{data}", "--out", out)
    # Fewer than any architecture has are refused before the search; those of few architectures cannot be.
    refused(call("run", *SMALL, *words, "--budget", "params=10"), "the smallest known has")
    assert not out.exists()
    words = (*words, "--budget", "params=1500", "--set", "select.scale=false")

    refused(call("run", *SMALL, *words), "the smallest has", f"nasplug retrain {out} --budget NAME=LIMIT", notes=1)
    assert json.loads((out / "result.json").read_text())["status"] == "failed"
    again = tmp_path / "again"
    refused(call("retrain", out, "--out", again), "the smallest has", ": --budget NAME=LIMIT.")
    assert not again.exists()
    # The advice: the same search, with a limit that the network meets at the channels that are asked for.
    words = ("--set", "retrain.channels=2", "--max-params", "90000", "--set", "retrain.widths=[]")
    done = call("retrain", out, *words, "--out", again)
    assert done.exit_code == 0, done.output
    result = json.loads((again / "result.json").read_text())
    assert result["status"] == "done"
    assert {network["network"]["channels"] for network in result["networks"]} == {2}


@pytest.mark.slow
def test_a_run_on_a_small_folder_of_odd_grey_images(tmp_path):
    words = ("--data", f"folder:{folder(tmp_path / 'images')}", "--set", "data.size=9", "--set", "data.channels=1")
    out = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = call("run", *SMALL, *words, "--out", out)

    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    assert result["status"] == "done"
    assert (result["data"]["classes"], result["data"]["size"], result["data"]["channels"]) == (["cats", "dogs"], 9, 1)
    probabilities = package.load(out).best().predict(torch.zeros(2, 9, 9, 1, dtype=torch.uint8))
    assert probabilities.shape == (2, 2)
