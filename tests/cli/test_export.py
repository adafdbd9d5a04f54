from __future__ import annotations

import pytest
from click.testing import CliRunner, Result
from safetensors import safe_open

import nasplug as package
from nasplug.cli import main
from nasplug.store.lock import lock_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)], catch_exceptions=False)


def test_the_best_network_is_written_and_compared_on_test_images(finished_run, tmp_path):
    path = tmp_path / "best.safetensors"
    result = call(finished_run, "--format", "safetensors", "--out", path)
    best = package.load(finished_run).best()

    assert result.exit_code == 0, result.output
    *said, figures = result.stdout.splitlines()
    assert said == [
        f"Network {best.id} ({best.params:,} params): {path} ({path.stat().st_size:,} bytes)",
        "On 48 test images: largest difference of a probability 0.0e+00, all predictions agree.",
    ]
    error = f"error {100 * best.test_error:.2f} %"
    assert figures.endswith(
        f"On 359 test images: {error}, that of the network {error[6:]}; 100.00 % of the predictions agree."
    )
    assert "On the device" in (finished_run / "report.html").read_text()
    with safe_open(path, framework="pt") as file:
        assert (file.metadata()["id"], float(file.metadata()["test_error"])) == (best.id, best.test_error)


def test_while_a_run_is_under_way_its_result_is_left_alone(finished_run, tmp_path):
    before = (finished_run / "result.json").read_bytes()
    with lock_folder(finished_run):
        result = call(finished_run, "--format", "safetensors", "--out", tmp_path / "best.safetensors")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "best.safetensors").is_file()
    assert "These figures are not in result.json." in result.stdout
    assert (finished_run / "result.json").read_bytes() == before


def test_another_network_is_named_by_the_beginning_of_its_id(finished_run, tmp_path):
    other = next(each for each in package.load(finished_run).networks if each.record["role"] == "random")
    result = call(finished_run, other.id[:7], "--format", "safetensors", "--out", tmp_path / "net.safetensors")

    assert result.stdout.startswith(f"Network {other.id} (")


def test_bad_input_is_refused_in_one_sentence(finished_run, tmp_path):
    (tmp_path / "mine.onnx").write_text("mine")
    for words, reason in (
        ((finished_run, "zz", "--format", "onnx"), "has no network 'zz'; it has "),
        ((finished_run, "--format", "onnx", "--out", tmp_path / "mine.onnx"), "--force"),
        (("nowhere", "--format", "onnx"), "is no run folder"),
        ((finished_run, "--format", "onnx", "--calibration-images", "256"), "are for files in 8 bits; add --int8"),
    ):
        result = call(*words)
        assert result.exit_code == 2
        assert reason in result.stderr
        assert result.stderr.count("\n") == 1
    assert call(finished_run, "--format", "tflite").exit_code == 2


def test_help_says_what_each_format_holds():
    text = call("--help").stdout

    for words in ("raw uint8 images", "torch.export program", "the weights, and what nasplug needs", "nasplug[onnx]"):
        assert words in text
