"""The executor `slurm`."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import submitit

from nasplug.errors import InputError
from nasplug.parts import TrainingExecutor, Workload, option
from nasplug_slurm.executor import JobExecutor

MOST_REQUEUES = 100
"""How often a job is put into the queue again after it has reached its time limit."""


@attrs.frozen
class Slurm(TrainingExecutor):
    """Trainings as jobs of a SLURM cluster. The program that waits for them is best left on a node for logins.

    A job that is preempted, or reaches its time limit, goes back into the queue and on at its last checkpoint.
    """

    partition: str = option("", "partition of the jobs; empty: the default one of the cluster")
    hours: float = option(4.0, "time limit of a job; a training that takes longer is several jobs", above=0)
    cpus: int = option(1, "CPU cores and threads of each training", at_least=1)
    gpus: int = option(0, "GPUs of each training", at_least=0)
    memory: float = option(4.0, "memory of each training in GB", above=0)
    cluster: str = option(
        "slurm",
        "slurm, or local, for processes of this machine, with which a setup is tried",
        choices=("slurm", "local"),
    )

    @property
    def threads(self) -> int:
        """As many as a training has CPU cores."""
        return self.cpus

    def check(self) -> None:
        """Raises InputError on a machine from which no jobs can be submitted."""
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise InputError(
                "The executor 'slurm' submits jobs with sbatch, which is not to be found here; start the run on a node "
                "of the cluster, or try it with --set executor.cluster=local."
            )

    def open(self, workload: Workload) -> JobExecutor:
        """An executor whose scripts and logs are in a folder beside that of the run, called RUN-slurm."""
        folder = logs_of(workload.folder)
        jobs = submitit.AutoExecutor(folder / "%j", cluster=self.cluster, slurm_max_num_timeout=MOST_REQUEUES)
        jobs.update_parameters(
            name=f"nasplug-{workload.folder.name}",
            timeout_min=max(1, round(60 * self.hours)),
            cpus_per_task=self.cpus,
            gpus_per_node=self.gpus,
            mem_gb=self.memory,
            **({"slurm_partition": self.partition} if self.partition else {}),
        )
        return JobExecutor(jobs, folder)


def logs_of(run: Path) -> Path:
    """Where scripts and logs of the jobs of a run are: not in it, where nothing may be a symbolic link."""
    return run.with_name(f"{run.name}-slurm")
