"""Whole runs on few images and on many classes, and what their networks say of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = (
    *("run", "--method", "random", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--set", "data.size=8"),
    *(
        "--set",
        "data.channels=1",
        "--set",
        "select.networks=1",
        "--set",
        "select.random=0",
        "--set",
        "select.references=[]",
    ),
    *(
        "--set",
        "select.measures=[]",
        "--set",
        "retrain.epochs=1",
        "--set",
        "retrain.channels=2",
        "--set",
        "retrain.widths=[]",
    ),
)


def paint(folder: Path, classes: list[str], count: int) -> None:
    generator = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def run(here, folder: Path, *words: object):
    done = here(*SHORT, "--data", f"folder:{folder}", "--out", folder.parent / "run", *words)
    assert done.exit_code == 0, done.output
    return json.loads((folder.parent / "run" / "result.json").read_text())


def classes_told(here, run: Path, image: Path, top: int) -> list[str]:
    done = here("predict", run, image, "--top", top, "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)
    probabilities = [each["probability"] for each in told["classes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    return [each["class"] for each in told["classes"]]


def test_batches_larger_than_the_data_and_two_classes(here, tmp_path):
    paint(tmp_path / "photos", ["no", "yes"], 12)
    result = run(here, tmp_path / "photos", "--set", "retrain.batch_size=4096")
    assert (result["status"], result["data"]["classes"]) == ("done", ["no", "yes"])
    assert sum(result["splits"].values()) == 24
    image = tmp_path / "photos" / "no" / "0.png"
    assert sorted(classes_told(here, tmp_path / "run", image, 5)) == ["no", "yes"]


@pytest.mark.parametrize("images", [4, 3])
def test_a_last_batch_of_one(here, tmp_path, images):
    """Nine or seven images for training in batches of four or three: one is left over."""
    for split, count in (("train", images), ("val", 1), ("test", 1)):
        paint(tmp_path / "photos" / split, ["a", "b"], count)
    (tmp_path / "photos" / "train" / "a" / f"{images}.png").write_bytes(
        (tmp_path / "photos" / "train" / "a" / "0.png").read_bytes()
    )
    result = run(here, tmp_path / "photos", "--set", f"retrain.batch_size={images}")
    assert (result["status"], result["splits"]) == ("done", {"train": 2 * images + 1, "validation": 2, "test": 2})


def test_two_hundred_classes_and_damaged_files(here, tmp_path):
    names = [f"class {number:03}" for number in range(200)]
    paint(tmp_path / "photos", names, 5)
    (tmp_path / "photos" / names[7] / "damaged.png").write_bytes(b"")
    result = run(here, tmp_path / "photos", "--set", "data.validation=0", "--set", "data.skip_damaged=true")
    assert (result["status"], result["data"]["classes"], result["data"]["skipped"]) == ("done", names, 1)
    image = tmp_path / "photos" / names[3] / "0.png"
    assert sorted(classes_told(here, tmp_path / "run", image, 1000)) == names
    assert len(classes_told(here, tmp_path / "run", image, 5)) == 5
