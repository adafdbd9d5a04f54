"""`nasplug data`: what it tells of images, and a leak that it finds."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasplug.compose import resolve
from nasplug.plugins import load_plugins
from nasplug.runs.context import new_context
from nasplug.store.run_folder import RunFolder


def paint(folder: Path, seed: int, count: int) -> None:
    """Photographs of a kind: structure at two scales, 90 to 110 pixels wide."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((48, 48))
        noise = generator.integers(-20, 21, (48, 48, 3))
        image = Image.fromarray((np.asarray(coarse, int) + noise).clip(0, 255).astype(np.uint8))
        image.resize((int(generator.integers(90, 111)), 80)).save(folder / f"{number:02}.png")


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Two classes, 30 to 10, in `photos/train` and `photos/test`; the name of their folder has a blank."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my photos"
    for number, (label, count) in enumerate((("cat", 30), ("dog", 10))):
        paint(folder / "train" / label, number, count)
        paint(folder / "test" / label, 10 + number, 5)
    return folder


def facts(here, *words: object) -> dict:
    result = here("data", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def overlap(facts: dict, *splits: str) -> dict:
    (found,) = [each for each in facts["duplicates"] if each["splits"] == list(splits)]
    return found


def test_it_tells_what_the_images_are(here, photos):
    told = facts(here, "folder:my photos")
    assert told["images"] == 50
    assert told["splits"] == {"train": 27, "validation": 13, "test": 10}
    assert [(row["class"], row["images"], row["test"]) for row in told["classes"]] == [("cat", 35, 5), ("dog", 15, 5)]
    assert told["balance"] == {"largest": "cat", "smallest": "dog", "ratio": pytest.approx(35 / 15)}
    assert (told["files"]["formats"], told["files"]["modes"]) == ({"PNG": 50}, {"RGB": 50})
    assert told["files"]["height"] == told["files"]["shorter_side"] == [80] * 5
    assert 90 <= told["files"]["width"][0] <= told["files"]["width"][2] <= told["files"]["width"][4] <= 110
    assert (told["leaks"], told["contradictions"], told["grey"]) == ([], [], 0)
    assert not any(each["equal"] or each["nearly_equal"] for each in told["duplicates"])
    values = {each["option"]: each["value"] for each in told["suggestions"]}
    assert (values["data.size"], values["search.batch_size"], values["retrain.batch_size"]) == (64, 8, 8)
    reasons = {each["option"]: each["because"] for each in told["suggestions"]}
    assert reasons["retrain.batch_size"] == "3 steps in an epoch of 27 images"


def test_a_run_divides_the_images_in_the_same_way_and_says_the_same(here, photos):
    """The command that is printed starts it."""
    told = facts(here, "folder:my photos", "--seed", 3, "--set", "data.validation=0.4", "--set", "data.size=16")
    words = shlex.split(told["command"])
    assert words[:6] == ["nasplug", "run", "--data", "folder:my photos", "--seed", "3"]
    assert "--set=data.size=16" in words
    assert "--set=data.size=64" not in words
    layer = {"run": {"seed": 3}, "data": {"name": "folder:my photos", "validation": 0.4, "size": 16}}
    plugins = load_plugins()
    context = new_context(RunFolder(photos / "run"), plugins, resolve(plugins, [layer]))
    splits = {name: len(getattr(context.splits, name)) for name in ("train", "validation", "test")}
    assert told["splits"] == splits
    assert told["mean"] == list(context.mean)
    assert told["notes"] == list(context.notes)


def test_a_leak_is_named_with_its_pairs_and_fails_a_strict_look(here, photos):
    shutil.copy(photos / "train/cat/03.png", photos / "test/cat/same.png")
    with Image.open(photos / "train/cat/04.png") as image:
        image.resize((image.width * 2, image.height * 2)).save(photos / "test/cat/near.jpg", quality=70)
    shutil.copy(photos / "train/cat/05.png", photos / "train/dog/wrong.png")
    told = facts(here, "folder:my photos", "--set", "data.validation=0")
    assert overlap(told, "train", "test")["equal"] == [["test/cat/same.png", "train/cat/03.png"]]
    assert overlap(told, "train", "test")["nearly_equal"] == [["test/cat/near.jpg", "train/cat/04.png"]]
    assert overlap(told, "train", "train")["equal"] == [["train/dog/wrong.png", "train/cat/05.png"]]
    assert [leak.count("test/cat/") for leak in told["leaks"]] == [1, 1]
    assert "train/cat/05.png (cat) and train/dog/wrong.png (dog)" in told["contradictions"][0]

    printed = here("data", "folder:my photos", "--set", "data.validation=0", "--strict")
    assert printed.exit_code == 1
    assert "Warning: A leak between training and test: 1 of 12 test images are copies" in printed.stdout
    assert "test/cat/near.jpg, nearly equal to train/cat/04.png" in printed.stdout
    assert here("data", "folder:my photos", "--set", "data.validation=0").exit_code == 0
    (row,) = [line for line in printed.stdout.splitlines() if line.startswith("test and train")]
    assert row.split()[3:5] == ["1", "1"]


def test_images_that_are_grey_need_one_channel(here, photos):
    for path in photos.glob("*/*/*.png"):
        Image.open(path).convert("L").save(path)
    told = facts(here, "folder:my photos")
    assert (told["grey"], told["files"]["modes"]) == (50, {"L": 50})
    assert "--set=data.channels=1" in told["command"]
    assert facts(here, "folder:my photos", "--set", "data.channels=1")["grey"] is None


def test_data_sets_without_files_are_looked_at_too(here):
    printed = here("data", "digits", "--strict")
    assert printed.exit_code == 0
    assert printed.stdout.startswith("digits: 1,797 images of 10 classes, 8x8 pixels with 1 channel\n")
    assert "The images are too small to tell which are nearly equal." in printed.stdout
    assert printed.stdout.splitlines()[-1] == "nasplug run --data digits"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["digit"], "digits"),
        (["folder:nowhere"], "There is no folder nowhere"),
        (["digits", "--set", "search.epochs=3"], "data"),
        (["digits", "--set", "data.sise=3"], "sise"),
        (["digits", "--set", "data.name=mnist1d"], "The data set is digits, so --set data.name has no use here"),
        (["digits", "--data-root", "a", "--set", "data.root=b"], "Both --data-root and --set data.root are given"),
        (["digits", "--download", "--set", "data.download=false"], "Both --download and --set data.download are"),
        (["digits", "--set", "data.validation=0.9"], "data.validation=0.9 holds out"),
    ],
)
def test_what_a_run_would_refuse_is_refused(here, words, sentence):
    refused = here("data", *words)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
