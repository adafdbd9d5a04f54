from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

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
    *("--set", "optimizer.rating_limit=12", "--set", "optimizer.rating_images=32"),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    import torch
    from safetensors.torch import save_file

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

    again = here("rank", run, "--networks", "3")
    assert again.exit_code == 0
    assert json.loads((run / "rank" / "rank.json").read_text()) == found
    other = here("rank", run, "--networks", "4", "--epochs", "2")
    assert other.exit_code == 2
    assert "retrain.epochs is 1 there and 2 here; select.networks is 3 there and 4 here" in other.stderr
    assert tomllib.loads((run / "rank" / "recipe.toml").read_text())["select"]["networks"] == 3


@pytest.mark.slow
def test_a_search_that_orders_nothing_is_refused_and_leaves_nothing(here, images, tmp_path):
    run = tmp_path / "run"
    done = here("run", "--method", "random", "--data", f"arrays:{images}", *SMALL, "--out", run)
    assert done.exit_code == 0, done.output
    done = here("rank", run)
    assert done.exit_code == 2
    assert "has left no order of architectures: its optimizer 'random'" in done.stderr
    assert not (run / "rank").exists()
