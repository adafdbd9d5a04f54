"""The executor `local`: processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import cycle, islice

import attrs
import torch

from nasplug.builtin.executors.processes import ProcessExecutor
from nasplug.parts import TrainingExecutor, Workload, option

VISIBLE = "CUDA_VISIBLE_DEVICES"


@attrs.frozen
class Local(TrainingExecutor):
    """Trainings in processes of this machine, each with one CPU thread, and on CUDA each with a GPU."""

    per_gpu: int = option(1, "trainings at a time on one GPU", at_least=1)

    def workers(self, workload: Workload) -> int:
        """As many as `run.jobs`, but on CUDA no more than the GPUs take; a single job needs no process of its own."""
        return 0 if workload.jobs == 1 else len(self._environments(workload))

    def open(self, workload: Workload) -> ProcessExecutor:
        """Starts the processes."""
        return ProcessExecutor(self._environments(workload))

    def _environments(self, workload: Workload) -> list[Mapping[str, str]]:
        """The environment variables of each process: which GPU it sees, the first ones of all GPUs first."""
        if workload.device == "cpu":
            return [{}] * workload.jobs
        if workload.device != "cuda":  # one was named
            return [{}] * min(workload.jobs, self.per_gpu)
        gpus = find_gpus()
        return [{VISIBLE: gpu} for gpu in islice(cycle(gpus), min(workload.jobs, len(gpus) * self.per_gpu))]


def find_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that this process sees, at least one."""
    visible = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    count = max(torch.cuda.device_count(), 1)
    return visible[:count] or [str(number) for number in range(count)]
