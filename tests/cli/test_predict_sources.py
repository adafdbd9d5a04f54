"""Where `nasplug predict` finds images: files, folders and standard input."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from torch import nn

from nasplug.cli import main
from nasplug.results.classifier import Classifier

SIZE = 4


@pytest.fixture(autouse=True)
def brightness(monkeypatch) -> Classifier:
    """A network that tells how dark or light the first pixel of a grey image is, in place of that of a run."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIZE**2, 2, bias=False))
    nn.init.zeros_(net[1].weight)
    net[1].weight.data[:, 0] = nn.Parameter(net[1].weight.new_tensor([-9.0, 9.0]))
    facts = {"classes": ["dark", "light"], "channels": 1, "size": SIZE, "mean": [0.5], "std": [0.25]}
    classifier = Classifier(net, {"data": facts})
    monkeypatch.setattr("nasplug.cli.predict._open_classifier", lambda *_: classifier)
    return classifier


def paint(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6), level).save(path, "PNG")
    return path


def call(*words: object, content: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["predict", "run", *map(str, words)], input=content, catch_exceptions=False)


def answers(result: Result) -> dict[str, str]:
    return {each["file"]: each["classes"][0]["class"] for each in json.loads(result.stdout)}


def test_the_images_of_a_folder_are_taken_as_a_data_set_takes_them(tmp_path):
    for name, level in (("b.png", 9), ("a/x.JPG", 250), ("a/deep/y.png", 0), ("c.png", 255)):
        paint(tmp_path / "photos" / name, level)
    for name in ("notes.txt", ".hidden.png", "a/Thumbs.db"):
        (tmp_path / "photos" / name).write_text("no image")
    single = paint(tmp_path / "single.png", 200)
    result = call(tmp_path / "photos", single, "--json")
    folder = tmp_path / "photos"
    assert result.exit_code == 0
    assert list(answers(result).items()) == [
        (f"{folder}/a/deep/y.png", "dark"),
        (f"{folder}/a/x.JPG", "light"),
        (f"{folder}/b.png", "dark"),
        (f"{folder}/c.png", "light"),
        (str(single), "light"),
    ]
    assert result.stderr == f"Note: Passed over in '{folder}': files: 1 .db, 1 .txt, 1 hidden.\n"


def test_damaged_images_of_a_folder_are_named_and_the_others_answered(tmp_path):
    paint(tmp_path / "a.png", 250)
    (tmp_path / "b.png").write_bytes(b"")
    result = call(tmp_path, "--json")
    assert (result.exit_code, answers(result)) == (2, {str(tmp_path / "a.png"): "light"})
    assert result.stderr == (
        f"Error: The image file {tmp_path}/b.png cannot be read (it is empty, damaged or no image); repair or remove "
        f"it.\n"
    )


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    result = call(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"The folder '{tmp_path}' holds no images" in result.stderr


def test_what_cannot_be_looked_up_is_named_after_the_answers_to_the_others(tmp_path):
    (tmp_path / "empty").mkdir()
    image = paint(tmp_path / "a.png", 250)
    result = call("x" * 300, tmp_path / "empty", image, "--json")
    assert (result.exit_code, answers(result)) == (2, {str(image): "light"})
    first, second = result.stderr.splitlines()
    assert "cannot be looked up: File name too long" in first
    assert "holds no images" in second


def test_an_image_on_standard_input(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (9, 5), "white").save(stream, "JPEG")
    result = call("-", paint(tmp_path / "a.png", 0), "--json", "--top", 5, content=stream.getvalue())
    assert answers(result) == {"-": "light", str(tmp_path / "a.png"): "dark"}
    assert [len(each["classes"]) for each in json.loads(result.stdout)] == [2, 2]
    refused = call("-", content=b"no image")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "The image file - cannot be read (it is empty, damaged or no image)" in refused.stderr


def test_names_that_are_not_utf8(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/[bold] caf\xe9\n.png")
    paint(Path(odd), 250)
    assert answers(call(tmp_path, "--json")) == {odd: "light"}
    assert "[bold] caf\\udce9\\n.png light 1.0000" in " ".join(call(tmp_path).stdout.split())
