"""Runs as MLflow has them in the end, in a store that is a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="MLflow is not installed: uv pip install -e plugins/nasplug-mlflow")
pytest.importorskip("nasplug_mlflow", reason="not installed: uv pip install -e plugins/nasplug-mlflow")
from mlflow.tracking import MlflowClient
from nasplug_mlflow.hooks import nasplug_end, nasplug_event

pytestmark = pytest.mark.filterwarnings("ignore")
LONG = "x" * 10_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("NASPLUG_OBSERVE", "mlflow")
    path = tmp_path / "first"
    (path / "genotypes").mkdir(parents=True)
    (path / "genotypes" / "abc.json").write_text("{}")
    options = "".join(f"option{number} = {number}\n" for number in range(150))
    (path / "recipe.toml").write_text(f'[run]\nseed = 3\nlong = "{LONG}"\n[search]\n{options}')
    return path


def tell(run: Path, steps: range, phase: str = "search") -> None:
    for number in steps:
        event = {"event": "step", "phase": phase, "step": number, "epoch": 0, "loss": 1.0 / number, "S": 2}
        with (run / "events.jsonl").open("a") as stream:
            stream.write(json.dumps(event) + "\n")
        nasplug_event(run, event)


def end(run: Path, status: str) -> None:
    network = {"id": "abc", "role": "found", "matched_to": None, "params": 10, "macs": 20, "val_error": 0.25}
    networks = [{**network, "test_error": None}] if status == "done" else []
    result = {"schema": 1, "method": "darts", "dataset": "digits", "seed": 3, "status": status, "networks": networks}
    (run / "result.json").write_text(json.dumps({**result, "front": [], "best": (networks and "abc") or None}))
    nasplug_end(run)


def only_run() -> Any:
    client = MlflowClient()
    experiment = client.get_experiment_by_name("nasplug")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def history(name: str) -> list[tuple[int, float]]:
    metrics = MlflowClient().get_metric_history(only_run().info.run_id, name)
    return sorted((metric.step, metric.value) for metric in metrics)


def artefacts(folder: str | None = None) -> Iterator[str]:
    for item in MlflowClient().list_artifacts(only_run().info.run_id, folder):
        if item.is_dir:
            yield from artefacts(item.path)
        else:
            yield item.path


def test_a_run_that_was_stopped_and_resumed_is_one_run_without_a_figure_twice(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(run, range(1, 7))
    end(run, "stopped")
    assert only_run().info.status == "KILLED"
    tell(run, range(4, 9))
    tell(run, range(1, 3), "retrain/abc")
    end(run, "done")
    end(run, "done")

    known = only_run()
    assert known.info.status == "FINISHED"
    assert known.info.run_name == "first"
    assert history("search/loss") == [(number, 1.0 / number) for number in range(1, 9)]
    assert history("search/S") == [(number, 2.0) for number in range(1, 9)]
    assert history("retrain/abc/loss") == [(1, 1.0), (2, 0.5)]
    assert history("retrain/abc/val_error") == [(2, 0.25)]
    assert history("best/params") == [(0, 10.0)]
    assert known.data.params["run.seed"] == "3"
    assert known.data.params["search.option149"] == "149"
    assert LONG.startswith(known.data.params["run.long"])
    assert set(artefacts()) == {"networks.md", "recipe.toml", "result.json", "genotypes/abc.json"}
    assert capsys.readouterr().err == ""


def test_a_run_that_the_server_does_not_have_is_a_warning(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "mlflow.json").write_text('{"id": "0123456789abcdef0123456789abcdef"}')
    tell(run, range(1, 3))
    end(run, "stopped")
    message = capsys.readouterr().err
    assert "The tracker mlflow gets no more of" in message
    assert message.count("\n") == 1
