from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import nasplug
from nasplug.builtin.darts import Darts
from nasplug.builtin.nb201 import NasBench201, to_string
from nasplug.cli import main
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.tabular import adopt_table, look_up
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype, ImageShape

OPERATIONS = ("none", "skip_connect")
CIFAR10 = ImageShape(3, 32, 10, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
SPACE = NasBench201()


def genotypes() -> list[Genotype]:
    return list(NasBench201(operations=OPERATIONS).paths(None).enumerate())


def accuracies(genotype: Genotype) -> tuple[float, float]:
    """A validation and a test accuracy that no two of these architectures share."""
    number = sum((name == "skip_connect") << place for place, (_, (name,)) in enumerate(genotype.picks))
    return 50 + number / 4, 25 + number / 8


def write_table(path: Path, listed: list[Genotype]) -> Path:
    rows = [",".join([to_string(each), *map(str, accuracies(each))]) for each in listed]
    path.write_text("\n".join(["arch_str,cifar10_valid_acc,cifar10_test_acc", *rows, ""]), encoding="utf-8")
    return path


def context(
    tmp_path: Path, table: Path | str, data: str = "cifar10", shape=CIFAR10, space=SPACE, validation: int = 300
):
    name, _, location = data.partition(":")
    return SimpleNamespace(
        folder=RunFolder(tmp_path / "run"),
        recipe=SimpleNamespace(
            run=SimpleNamespace(table=str(table)), source=SimpleNamespace(name=name), location=location
        ),
        plugins=load_plugins(),
        composition=SimpleNamespace(space=space),
        splits=SimpleNamespace(validation=range(validation)),
        shape=shape,
        device=torch.device("cpu"),
    )


def plan(genotype: Genotype, **size: int) -> PlannedNetwork:
    space = SPACE.scaled(**size)
    return PlannedNetwork("found", genotype, space.size(), space.cost(genotype, CIFAR10))


def test_a_network_of_the_benchmark_s_size_is_looked_up_and_every_other_is_left_to_be_trained(tmp_path):
    listed = genotypes()
    ours = context(tmp_path, write_table(tmp_path / "table.csv", listed[:10]))
    adopt_table(ours)
    (tmp_path / "table.csv").unlink()
    plans = [plan(listed[3]), plan(listed[10]), plan(listed[4], channels=8), plan(listed[5], cells=3), plan(listed[6])]
    ours.folder.finish(plans[4].phase, {"val_error": 0.5})

    assert [progress.phase for progress in look_up(ours, plans)] == [plans[0].phase]

    valid, test = accuracies(listed[3])
    assert ours.folder.done(plans[0].phase) == {
        "source": "table",
        "val_error": pytest.approx(1 - valid / 100, abs=1e-8),
        "test_error": pytest.approx(1 - test / 100, abs=1e-8),
        "train_loss": None,
        "cost": {"seconds": 0.0, "peak_memory_bytes": 0, "device": "cpu"},
    }
    assert [ours.folder.done(each.phase) for each in plans[1:]] == [None, None, None, {"val_error": 0.5}]


def test_a_table_that_was_changed_in_the_run_is_refused(tmp_path):
    ours = context(tmp_path, write_table(tmp_path / "table.csv", genotypes()))
    adopt_table(ours)
    content = ours.folder.table.read_bytes()
    ours.folder.table.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    with pytest.raises(InputError, match="does not match its checksum"):
        list(look_up(ours, [plan(genotypes()[3])]))


def test_without_a_table_nothing_is_looked_up(tmp_path):
    ours = context(tmp_path, "")
    adopt_table(ours)
    assert list(look_up(ours, [plan(genotypes()[3])])) == []


def test_a_user_s_own_copy_of_a_data_set_goes_by_its_name(tmp_path):
    table = write_table(tmp_path / "table.csv", genotypes())
    adopt_table(context(tmp_path, table, data="arrays:/data/CIFAR-10.safetensors"))
    with pytest.raises(InputError, match="the data set is 'cats'"):
        adopt_table(context(tmp_path, table, data="folder:/data/cats"))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"space": Darts()}, "of the space 'nb201', but the space is 'darts'; add --space nb201, or leave --table out"),
        ({"validation": 0}, "set data.validation=0.1"),
        ({"data": "digits", "shape": ImageShape(1, 8, 10)}, "the data set is 'digits' with 10 classes of 8 pixels"),
        ({"data": "cifar100", "shape": ImageShape(3, 32, 100)}, "it lacks the column 'cifar100_valid_acc'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, changes, remedy):
    ours = context(tmp_path, write_table(tmp_path / "table.csv", genotypes()), **changes)
    with pytest.raises(InputError, match=remedy):
        adopt_table(ours)
    assert not ours.folder.path.exists()


def test_a_table_that_is_missing_or_was_lost_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"The table .none\.csv. cannot be read: No such file"):
        adopt_table(context(tmp_path, "none.csv"))
    with pytest.raises(InputError, match="Restore it"):
        list(look_up(context(tmp_path, "none.csv"), [plan(genotypes()[3])]))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """So many random images as a run with validation needs."""
    path = tmp_path_factory.mktemp("data") / "cifar10.safetensors"
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 255, (620, 32, 32, 3), dtype=torch.uint8, generator=generator)
    tests = {"test_images": pixels[:20].clone(), "test_labels": torch.arange(20) % 10}
    save_file({"images": pixels, "labels": torch.arange(620) % 10, **tests}, path)
    return path


def call(*words: object):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_a_run_looks_up_what_the_table_holds_and_trains_the_rest(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = write_table(tmp_path / "table.csv", genotypes())
    words = ["run", "--method", "random", "--preset", "tiny", "--space", "nb201", "--data", f"arrays:{images}"]
    words += ["--table", table, "--out", "run", "--jobs", 1, "--threads", 1, "--seed", 3]
    options = {
        "space.operations": ",".join(OPERATIONS),
        "optimizer.samples": 1,
        "select.networks": 2,
        "select.random": 1,
        "retrain.widths": [2, 16],
        "retrain.epochs": 1,
        "retrain.batch_size": 160,
    }
    for name, value in options.items():
        words += ["--set", f"{name}={value}"]

    done = call(*words)

    assert done.exit_code == 0, done.output
    assert "looked up in the table" in done.output
    result = json.loads(Path("run/result.json").read_text())
    sources = {(each["network"]["channels"], each["role"]): each for each in result["networks"]}
    assert {key: each["source"] for key, each in sources.items()} == {
        (2, "found"): "trained",
        (2, "random"): "trained",
        (16, "found"): "table",
        (16, "random"): "table",
    }
    for each in result["networks"]:
        genotype = Genotype.from_dict(json.loads(Path("run", each["genotype"]).read_text()))
        if each["source"] == "table":
            errors = [1 - accuracy / 100 for accuracy in accuracies(genotype)]
            assert [each["val_error"], each["test_error"]] == pytest.approx(errors, abs=1e-8)
            assert each["weights"] is None
            assert (
                result["cost"][f"{'retrain' if each['role'] == 'found' else 'baseline'}/{each['id']}"]["seconds"] == 0
            )
        else:
            assert Path("run", each["weights"]).is_file()
    assert "errors from" in done.output
    # After what is said of the images, most of which are equal here.
    assert result["notes"][-2] == "2 of 4 networks were looked up in a table, not trained here."
    assert "statistics of all trained networks were measured" in result["notes"][-1]  # they had few steps
    assert "errors from" in Path("run/report.html").read_text()

    loaded = nasplug.load("run")
    assert {each.record["source"] for each in loaded.networks} == {"trained"}
    looked_up = loaded[sources[16, "found"]["id"]]
    assert looked_up.test_error == sources[16, "found"]["test_error"]
    with pytest.raises(InputError, match=r"nasplug retrain run --set run\.table="):
        looked_up.network()
    assert loaded.best(max_params=looked_up.params).id in {each["id"] for each in result["networks"]}


def test_a_refused_table_leaves_no_run_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = write_table(tmp_path / "table.csv", genotypes())
    refused = call("run", "--method", "random", "--preset", "tiny", "--space", "nb201", "--table", table)
    assert refused.exit_code == 2
    assert "the data set is 'digits'" in refused.stderr
    assert not Path("runs").exists()
