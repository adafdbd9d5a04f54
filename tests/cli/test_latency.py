from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nasplug.cli import main

SMALL = ("--space", "nb201", "--size", "8", "--set", "space.cells=1", "--networks", "2")
FAST = ("--set", "latency.layer_seconds=0.001", "--set", "latency.repeats=1", "--set", "latency.seconds=0.001")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path))


def latency(*words: str):
    small = SMALL if "--space" not in words else SMALL[2:4]
    arguments = ["latency", *small, *FAST, "--set", "latency.runtime=torch", *words]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_the_layers_of_a_space_are_measured_once(tmp_path):
    done = latency("--width", "2", "--width", "4", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["unit"] == "ms"
    assert found["base"] > 0
    assert found["environment"]["runtime"].startswith("torch ")
    stems = {row["layer"]: row["shape"] for row in found["layers"] if "stem" in row["layer"]}
    assert stems == {"nb201 stem to 2": [3, 8, 8], "nb201 stem to 4": [3, 8, 8]}
    assert all(row["cost"] >= 0 for row in found["layers"])

    path = Path(latency("--path").stdout.strip())
    assert str(path) == found["path"]
    assert path.is_relative_to(tmp_path)
    assert json.loads(latency("--width", "2", "--width", "4", "--json").stdout) == found

    again = json.loads(latency("--width", "2", "--json", "--rebuild").stdout)
    assert not [row for row in again["layers"] if row in found["layers"] and row["cost"] > 0]
    kept = json.loads(path.read_text())["layers"]
    assert set(kept) == {f"{row['layer']} on {'x'.join(map(str, row['shape']))}" for row in found["layers"]}
    shown = latency("--width", "2").stdout
    assert "nb201 stem to 2" in shown
    assert "nb201 stem to 4" not in shown
    assert str(path) in shown


def test_what_cannot_be_measured_is_refused():
    refused = latency("--set", "latency.runtime=tpu")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1


def test_the_layers_of_networks_for_signals_have_inputs_of_one_row():
    done = latency("--space", "compact", "--signals", "--channels", "2", "--networks", "1", "--json")
    assert done.exit_code == 0, done.output
    shapes = {row["layer"]: row["shape"] for row in json.loads(done.stdout)["layers"]}
    assert {shape[1] for shape in shapes.values()} == {1}
    assert [shape for layer, shape in shapes.items() if "stem" in layer] == [[2, 1, 8]]
