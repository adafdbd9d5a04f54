"""A run of nasplug as a run of MLflow.

Settings are MLflow's own: MLFLOW_TRACKING_URI says where the runs are, MLFLOW_EXPERIMENT_NAME in which experiment
(`nasplug` unless it is set).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from nasplug.tracking import Figures, NetworkTable, Tracker

EXPERIMENT = "nasplug"
MOST_METRICS, MOST_PARAMETERS = 1000, 100
"""What MLflow takes in one call."""
LONGEST_PARAMETER = 6000
"""Letters of a parameter that MLflow keeps."""
STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
TABLE = "networks.md"


@attrs.define(eq=False)
class MlflowTracker(Tracker):
    """The phases of a run as metrics "PHASE/NAME" over steps, its recipe as parameters, its files as artefacts."""

    client: MlflowClient = attrs.field(factory=MlflowClient)
    run_id: str = attrs.field(default="", init=False)

    def open(self, run: Path, parameters: Mapping[str, str], identity: str | None) -> str:
        """Creates the run, or goes on with it; parameters that it has are left as they are."""
        if identity is None:
            created = self.client.create_run(self._experiment(), run_name=run.resolve().name)
            identity = created.info.run_id
        else:
            self.client.update_run(identity, status="RUNNING")
        self.run_id = identity
        known = self.client.get_run(identity).data.params
        missing = [Param(name, text[:LONGEST_PARAMETER]) for name, text in parameters.items() if name not in known]
        for start in range(0, len(missing), MOST_PARAMETERS):
            self.client.log_batch(identity, params=missing[start : start + MOST_PARAMETERS])
        return identity

    def log(self, figures: Sequence[Figures]) -> None:
        """Adds every value as a metric of its phase."""
        now = time.time_ns() // 1_000_000
        metrics = [
            Metric(f"{each.phase}/{name}", value, now, each.step)
            for each in figures
            for name, value in each.values.items()
        ]
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + MOST_METRICS])

    def log_result(self, summary: Mapping[str, float], networks: NetworkTable) -> None:
        """Adds the figures of the best network as metrics, and all networks as a table in Markdown."""
        now = time.time_ns() // 1_000_000
        self.client.log_batch(self.run_id, metrics=[Metric(name, value, now, 0) for name, value in summary.items()])
        rows = [networks.columns, ("---",) * len(networks.columns), *networks.rows]
        text = "".join(f"| {' | '.join('' if cell is None else str(cell) for cell in row)} |\n" for row in rows)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, TABLE)
            path.write_text(text, encoding="utf-8")
            self.client.log_artifact(self.run_id, str(path))

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Adds every file as an artefact, in the folders of the run."""
        for name, path in files.items():
            folder = PurePosixPath(name).parent
            self.client.log_artifact(self.run_id, str(path), None if folder == PurePosixPath() else str(folder))

    def close(self, status: str) -> None:
        """Ends the run."""
        self.client.set_terminated(self.run_id, STATUS.get(status, "FAILED"))

    def _experiment(self) -> str:
        """The id of the experiment, which is created if there is none."""
        if (known := os.environ.get("MLFLOW_EXPERIMENT_ID")) is not None:
            return known
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self.client.get_experiment_by_name(name)
        return str(self.client.create_experiment(name) if experiment is None else experiment.experiment_id)
