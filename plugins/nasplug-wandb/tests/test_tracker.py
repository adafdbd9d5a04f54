"""Runs as W&B keeps them offline, read from its files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb", reason="W&B is not installed: uv pip install -e plugins/nasplug-wandb")
pytest.importorskip("nasplug_wandb", reason="not installed: uv pip install -e plugins/nasplug-wandb")
from nasplug_wandb.hooks import nasplug_end, nasplug_event
from wandb.proto.wandb_internal_pb2 import Record

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
HEADER, BLOCK = 7, 32768
"""Bytes of the header of a file, and of a block: its records are in LevelDB's format of logs."""
FULL, FIRST, LAST = 1, 2, 4


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("NASPLUG_OBSERVE", "nasplug-wandb")
    path = tmp_path / "first"
    path.mkdir()
    (path / "recipe.toml").write_text("[run]\nseed = 3\n")
    return path


def tell(run: Path, steps: range, phase: str = "search") -> None:
    for number in steps:
        event = {"event": "step", "phase": phase, "step": number, "epoch": 0, "loss": 1.0 / number}
        with (run / "events.jsonl").open("a") as stream:
            stream.write(json.dumps(event) + "\n")
        nasplug_event(run, event)


def end(run: Path, status: str) -> None:
    network = {"id": "abc", "role": "found", "matched_to": None, "params": 10, "macs": 20, "val_error": 0.25}
    networks = [{**network, "test_error": None}] if status == "done" else []
    result = {"schema": 1, "method": "darts", "dataset": "digits", "seed": 3, "status": status, "networks": networks}
    (run / "result.json").write_text(json.dumps({**result, "front": [], "best": (networks and "abc") or None}))
    nasplug_end(run)


def records(path: Path) -> Iterator[Any]:
    """The records of a file; one that does not fit into a block is in several parts."""
    content, place, parts = path.read_bytes(), HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + HEADER])
        parts = (b"" if kind in (FULL, FIRST) else parts) + content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)


def rows(path: Path) -> list[dict[str, Any]]:
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]


def test_a_run_that_was_stopped_and_resumed_is_one_run_without_a_figure_twice(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(run, range(1, 7))
    end(run, "stopped")
    (first,) = run.parent.glob("wandb/offline-run-*/*.wandb")
    tell(run, range(4, 9))
    tell(run, range(1, 3), "retrain/abc")
    end(run, "done")

    files = sorted(run.parent.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path != first)
    assert len(files) == 2
    identity = json.loads((run / "wandb.json").read_text())["id"]
    runs = [record.run for path in files for record in records(path) if record.WhichOneof("record_type") == "run"]
    assert {(each.run_id, each.display_name, each.project) for each in runs} == {(identity, "first", "nasplug")}
    history = [row for path in files for row in rows(path)]
    losses = [(row["search/step"], row["search/loss"], row["_step"]) for row in history if "search/loss" in row]
    assert losses == [(number, 1.0 / number, number - 1) for number in range(1, 9)]
    assert [row["retrain/abc/val_error"] for row in history if "retrain/abc/val_error" in row] == [0.25]
    summary = [
        (item.key or item.nested_key[0], item.value_json)
        for path in files
        for record in records(path)
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    ]
    assert ("best/params", "10") in summary
    assert any(record.WhichOneof("record_type") == "artifact" for record in records(files[1]))
    assert capsys.readouterr().err == ""
