"""A run of nasplug as a run of Weights & Biases.

Settings are W&B's own: WANDB_MODE (`offline` keeps runs in files until `wandb sync`), WANDB_PROJECT (`nasplug` unless
it is set), WANDB_ENTITY, WANDB_DIR and the others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import wandb

from nasplug.tracking import Figures, NetworkTable, Tracker

PROJECT = "nasplug"
EXIT_CODES = {"done": 0, "stopped": 130}


@attrs.define(eq=False)
class WandbTracker(Tracker):
    """Phases are curves "PHASE/NAME" over "PHASE/step", the recipe is the configuration, files are one artefact."""

    run: Any = attrs.field(default=None, init=False)
    phases: set[str] = attrs.field(factory=set, init=False)
    """Those whose curves have their axis."""

    def open(self, run: Path, parameters: Mapping[str, str], identity: str | None) -> str:
        """Creates the run, or goes on with it."""
        identity = identity or uuid4().hex[:12]
        self.run = wandb.init(
            id=identity,
            name=run.resolve().name,
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            config=dict(parameters),
            resume="allow",
            reinit="create_new",  # several runs of one process do not end each other
            settings=wandb.Settings(
                silent=True,  # the terminal is the run's
                console="off",
                save_code=False,
                login_timeout=1,  # where nobody has logged in, nobody is asked: the training is on the terminal
            ),
        )
        return identity

    def log(self, figures: Sequence[Figures]) -> None:
        """Adds a row to the history for every step of a phase."""
        for each in figures:
            if each.phase not in self.phases:
                self.phases.add(each.phase)
                self.run.define_metric(f"{each.phase}/step", hidden=True)
                self.run.define_metric(f"{each.phase}/*", step_metric=f"{each.phase}/step")
            row = {f"{each.phase}/{name}": value for name, value in each.values.items()}
            self.run.log({**row, f"{each.phase}/step": each.step}, step=each.number)

    def log_result(self, summary: Mapping[str, float], networks: NetworkTable) -> None:
        """Adds the figures of the best network to the summary, and all networks as a table."""
        self.run.summary.update(dict(summary))
        table = wandb.Table(columns=list(networks.columns), data=[list(row) for row in networks.rows])
        self.run.log({"networks": table})

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Adds an artefact of all files, which W&B keeps once if it has the same already."""
        artifact = wandb.Artifact(f"run-{self.run.id}", type="nasplug-run")
        for name, path in files.items():
            artifact.add_file(str(path), name=name)
        self.run.log_artifact(artifact)

    def close(self, status: str) -> None:
        """Ends the run, and sends what is left."""
        self.run.finish(exit_code=EXIT_CODES.get(status, 1))
