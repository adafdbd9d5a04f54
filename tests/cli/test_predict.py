from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.datasets import load_digits

import nasplug as package
from nasplug.cli import main
from nasplug.results.export import export

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]

PIXELS = (load_digits().images[:3] * 255 / 16).round().astype(np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    """Three digits as they are, and the first one in colours, with something on both sides that is cropped."""
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    wide = np.full((8, 16), 255, np.uint8)
    wide[:, 4:12] = PIXELS[0]
    Image.fromarray(wide).convert("RGB").save(folder / "3.png")
    return sorted(folder.iterdir())


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)], catch_exceptions=False)


def test_files_get_the_probabilities_of_their_pixels(finished_run, images):
    told = json.loads(call(finished_run, *images, "--top", "99", "--json").stdout)
    pixels = torch.from_numpy(np.concatenate([PIXELS, PIXELS[:1]]))[:, None]
    expected = package.load(finished_run).best().predict(pixels)

    assert [each["file"] for each in told] == [str(path) for path in images]
    for each, row in zip(told, expected, strict=True):
        assert {one["class"]: one["probability"] for one in each["classes"]} == pytest.approx(
            {str(digit): value for digit, value in enumerate(row.tolist())}, abs=1e-6
        )
        values = [one["probability"] for one in each["classes"]]
        assert values == sorted(values, reverse=True)


def test_a_table_has_the_best_classes_of_each_file(finished_run, images):
    lines = call(finished_run, *images[:2], "--top", "2").stdout.splitlines()
    told = json.loads(call(finished_run, *images[:2], "--top", "2", "--json").stdout)

    assert lines[0].split() == ["file", "class", "probability"]
    expected = [[each["file"], one["class"], f"{one['probability']:.4f}"] for each in told for one in each["classes"]]
    assert [line.split() for line in lines[2:]] == expected
    assert len(expected) == 4


def test_other_networks_are_named_by_id_size_or_file(finished_run, images):
    result = package.load(finished_run)
    small = min((each for each in result.networks if each.record["role"] == "found"), key=lambda each: each.params)
    other = next(each for each in result.networks if each.record["role"] == "random")

    def probability(*words):
        (told,) = json.loads(call(*words, images[0], "--json").stdout)
        return told["classes"][0]["probability"]

    def expected(network):
        return pytest.approx(float(network.predict(torch.from_numpy(PIXELS[:1])[:, None]).max()), abs=1e-6)

    assert probability(finished_run, "--max-params", small.params) == expected(small)
    assert probability(finished_run, "--max-macs", small.record["macs"]) == expected(small)
    assert probability(finished_run, "--id", other.id[:6]) == expected(other)
    assert probability(other.weights) == expected(other)


def test_files_that_cannot_be_read_are_named_after_the_others(finished_run, images, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    result = call(finished_run, tmp_path / "broken.png", images[0], tmp_path / "none.png", images[1], "--json")

    assert result.exit_code == 2
    assert [each["file"] for each in json.loads(result.stdout)] == [str(images[0]), str(images[1])]
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    for line, words in zip(lines, ("broken.png cannot be read", "none.png'."), strict=True):
        assert line.startswith("Error: ")
        assert words in line


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--id", "zz"), "has no network 'zz'"),
        (("--max-params", "10"), "the cheapest has"),
        (("--id", "a", "--max-params", "10"), "limits choose among all"),
    ],
)
def test_bad_input_is_refused(finished_run, images, words, reason):
    result = call(finished_run, images[0], *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_a_name_that_no_file_can_have_is_refused(finished_run):
    result = call(finished_run, "x" * 300)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "File name too long" in result.stderr


def test_limits_do_not_go_with_a_file(finished_run, images):
    weights = package.load(finished_run).best().weights

    assert "is one network" in call(weights, images[0], "--id", "a").stderr
    assert "is damaged" in call(images[0], images[0]).stderr


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "pte", "py"])
def test_an_exported_file_in_place_of_a_run_is_told_from_a_damaged_one(images, tmp_path, suffix):
    file = tmp_path / f"my digits.{suffix}"
    file.write_text("of any content")
    result = call(file, images[0])
    assert result.exit_code == 2
    assert f"is an exported file; use --from '{file}' in place of RUN." in result.stderr


@pytest.mark.parametrize("form", ["onnx", "pt2", "python", "safetensors"])
def test_an_exported_file_answers_in_place_of_the_run(finished_run, images, tmp_path, form):
    suffix = {"python": "py"}.get(form, form)
    file = export(package.load(finished_run).best(), form, tmp_path / f"digits.{suffix}").path

    told = json.loads(call("--from", file, *images, "--top", "99", "--json").stdout)

    expected = json.loads(call(finished_run, *images, "--top", "99", "--json").stdout)
    for each, other in zip(told, expected, strict=True):
        assert each["file"] == other["file"]
        assert {one["class"]: one["probability"] for one in each["classes"]} == pytest.approx(
            {one["class"]: one["probability"] for one in other["classes"]}, abs=1e-5
        )


def test_what_is_no_exported_file_gets_a_sentence(finished_run, images, tmp_path):
    (tmp_path / "notes.onnx").write_text("not a network")
    damaged = call("--from", tmp_path / "notes.onnx", *images)
    assert damaged.exit_code == 2
    assert "cannot be used as a file of the format onnx" in damaged.output

    other = call("--from", images[0], *images)
    assert "is no file that 'nasplug export' writes: these end in" in other.output

    chosen = call("--from", tmp_path / "notes.onnx", "--id", "a", *images)
    assert "is one network; --id and --budget choose among those of a run" in chosen.output

    forgotten = call(finished_run)
    assert forgotten.exit_code == 2
    assert f"Name images, or files of signals, after '{finished_run}'" in forgotten.output
