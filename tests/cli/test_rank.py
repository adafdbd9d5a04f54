from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nasplug.builtin.nb201 import NasBench201, to_string
from nasplug.values import Genotype

SMALL = (
    *("--set", "data.validation=0.2", "--set", "search.batch_size=8", "--set", "retrain.batch_size=32"),
    *("--set", "space.channels=2", "--set", "retrain.channels=2", "--set", "select.networks=1"),
    *(
        "--set",
        "select.random=0",
        "--set",
        "select.references=",
        "--set",
        "select.measures=",
        "--set",
        "run.measure_every=0",
    ),
    *("--preset", "tiny", "--jobs", "1", "--threads", "1", "--epochs", "1", "--set", "retrain.epochs=1"),
)

RATING = (
    *("--method", "random", "--space", "nb201", "--optimizer", "single-path"),
    *("--set", "selector.limit=12", "--set", "selector.images=32"),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "images.safetensors"
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (900, 8, 8, 1), dtype=torch.uint8, generator=generator)
    save_file({"images": pixels, "labels": torch.arange(900) % 4}, path)
    return path


def snapshot(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and "rank" not in path.parts}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("words", "scores"),
    [
        pytest.param(("--method", "darts"), {"alpha", "supernet"}, id="alpha"),
        pytest.param(RATING, {"rating"}, id="single paths"),
    ],
)
def test_a_sample_of_the_order_is_trained_and_compared_with_it(here, images, tmp_path, words, scores):
    run = tmp_path / "run"
    done = here("run", *words, "--data", f"arrays:{images}", *SMALL, "--out", run)
    assert done.exit_code == 0, done.output
    before = snapshot(run)

    done = here("rank", run, "--networks", "3")
    assert done.exit_code == 0, done.output
    assert snapshot(run) == before
    found = json.loads((run / "rank" / "rank.json").read_text())
    assert len(found["networks"]) == 3
    assert set(found["agreement"]) == scores
    assert all(set(network["scores"]) == scores for network in found["networks"])
    result = json.loads((run / "rank" / "result.json").read_text())
    held_out = result["splits"]["validation"] + result["splits"]["test"]
    assert found["images"] == held_out
    for network, each in zip(found["networks"], result["networks"], strict=True):
        wrong = each["val_error"] * result["splits"]["validation"] + each["test_error"] * result["splits"]["test"]
        assert network["error"] == pytest.approx(wrong / held_out)
    assert "Kendall tau" in done.stdout
    assert (run / "rank" / "rank.html").is_file()

    again = here("rank", run, "--networks", "3", "--jobs", "2")
    assert again.exit_code == 0
    assert tomllib.loads((run / "rank" / "recipe.toml").read_text())["run"]["jobs"] == 2
    assert json.loads((run / "rank" / "rank.json").read_text()) == found
    other = here("rank", run, "--networks", "4", "--epochs", "2")
    assert other.exit_code == 2
    there_and_here = "retrain.epochs is 1 there and 2 here; retrain.lr_decay_epochs is 1.0 there and 2.0 here"
    assert f"{there_and_here}; select.networks is 3 there and 4 here" in other.stderr
    assert tomllib.loads((run / "rank" / "recipe.toml").read_text())["select"]["networks"] == 3

    of_sample = here("rank", run / "rank", "--networks", "3")
    assert of_sample.exit_code == 2
    assert "is a sample that 'nasplug rank' has trained, with no search of its own" in of_sample.stderr


@pytest.mark.slow
def test_a_search_that_orders_nothing_is_refused_and_leaves_nothing(here, images, tmp_path):
    run = tmp_path / "run"
    done = here("run", "--method", "random", "--data", f"arrays:{images}", *SMALL, "--out", run)
    assert done.exit_code == 0, done.output
    done = here("rank", run)
    assert done.exit_code == 2
    assert "has left no order of architectures: its optimizer 'random'" in done.stderr
    assert not (run / "rank").exists()


@pytest.mark.slow
def test_networks_of_a_table_are_looked_up(here, tmp_path):
    space = NasBench201(operations=("none", "skip_connect"))
    listed = list(space.paths(None).enumerate())
    rows = [f"{to_string(genotype)},{50 + place / 4},{25 + place / 8}" for place, genotype in enumerate(listed)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["arch_str,cifar10_valid_acc,cifar10_test_acc", *rows, ""]))
    pixels = torch.randint(0, 255, (620, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tests = {"test_images": pixels[:20].clone(), "test_labels": torch.arange(20) % 10}
    save_file({"images": pixels, "labels": torch.arange(620) % 10, **tests}, tmp_path / "cifar10.safetensors")
    words = ("--data", f"arrays:{tmp_path / 'cifar10.safetensors'}", "--table", table, "--jobs", "1", "--threads", "1")
    options = ("space.operations=none,skip_connect", "space.channels=2", "space.cells=1", "retrain.channels=16")
    options += ("retrain.cells=5", "selector.images=32", "search.batch_size=64", "run.measure_every=0")
    settings = (word for option in (*options, "select.networks=1", "select.measures=") for word in ("--set", option))
    method = ("--method", "random", "--optimizer", "single-path", "--space", "nb201", "--preset", "tiny")
    done = here("run", *method, *words, "--epochs", "1", *settings, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output

    done = here("rank", tmp_path / "run", "--networks", "16")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "run" / "rank" / "rank.json").read_text())
    assert found["images"] is None
    errors = {genotype: 1 - (25 + place / 8) / 100 for place, genotype in enumerate(listed)}
    for network in found["networks"]:
        genotype = Genotype.from_json((tmp_path / "run" / "rank" / network["genotype"]).read_text())
        assert network["error"] == pytest.approx(errors[genotype])
