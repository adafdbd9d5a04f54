"""The executor `ray`."""

from __future__ import annotations

import os

import attrs

from nasplug.errors import InputError
from nasplug.parts import TrainingExecutor, Workload, option
from nasplug_ray.executor import RayExecutor


@attrs.frozen
class Ray(TrainingExecutor):
    """Trainings as tasks of a Ray cluster, which decides where each of them runs."""

    cpus: int = option(1, "CPU cores and threads of each training", at_least=1)
    gpus: float = option(0.0, "GPUs of each training; a part of one, such as 0.5, shares it", at_least=0)
    address: str = option(
        "",
        "the cluster: auto for that of this machine, HOST:PORT of its head, or ray://HOST:PORT from outside; empty: "
        "one is started on this machine for the run",
    )

    def __attrs_post_init__(self) -> None:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(f"Option 'gpus' is a part of one GPU or a whole number of them, but it is {self.gpus:g}.")

    @property
    def threads(self) -> int:
        """As many as a training has CPU cores."""
        return self.cpus

    def check(self) -> None:
        """Raises InputError for cores that a cluster on this machine cannot have: its tasks would wait for ever."""
        cores = os.cpu_count() or 1
        if not self.address and self.cpus > cores:
            raise InputError(
                f"executor.cpus={self.cpus} is more than the {cores} cores of this machine; lower it, or name a "
                f"cluster with executor.address."
            )

    def open(self, workload: Workload) -> RayExecutor:
        """Connects to the cluster, or starts one."""
        return RayExecutor(self.address, self.cpus, self.gpus)
