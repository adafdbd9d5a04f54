"""What runs can use beyond one process of one machine, by what is installed: nothing of it is needed.

Nothing is imported but torch, and no cluster or server is asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import attrs

from nasplug.cli.health import Finding, find_version


@attrs.frozen
class Companion:
    """A plugin of nasplug, and the library that it makes use of."""

    subject: str
    library: str
    plugin: str
    use: str
    """What it is for, after "optional, for"."""


RAY = Companion("Ray", "ray", "nasplug-ray", "trainings on a Ray cluster (--executor ray)")
SLURM = Companion("SLURM", "submitit", "nasplug-slurm", "trainings as jobs of a SLURM cluster (--executor slurm)")
TRACKERS = (
    Companion("MLflow", "mlflow", "nasplug-mlflow", "showing runs in MLflow (--observe mlflow)"),
    Companion("W&B", "wandb", "nasplug-wandb", "showing runs in Weights & Biases (--observe wandb)"),
)
SBATCH = "sbatch"


def examine_optional() -> Iterator[Finding]:
    """Back ends of torchrun, executors of clusters and experiment trackers."""
    yield from _check_torchrun()
    yield _check(RAY)
    yield _check(SLURM, f"{SBATCH} is {'on the path' if shutil.which(SBATCH) else 'not on the path of this machine'}")
    for tracker in TRACKERS:
        yield _check(tracker)


def _check(companion: Companion, more: str = "") -> Finding:
    names = (companion.library, companion.plugin)
    versions = {name: find_version(name) for name in names}
    found = [f"{name} {version}" for name, version in versions.items() if version is not None]
    lacking = [name for name, version in versions.items() if version is None]
    missing = [f"not installed: {' and '.join(lacking)}"] if lacking else []
    words = ", ".join([*found, *missing, *([more] if more else [])])
    if lacking:
        return Finding(
            companion.subject, "note", words, f"Optional, for {companion.use}: pip install {companion.plugin}"
        )
    return Finding(companion.subject, "ok", words)


def _check_torchrun() -> Iterator[Finding]:
    """Whether the processes of one training can exchange tensors, those of CPUs by gloo and those of GPUs by NCCL."""
    try:
        import torch
        from torch import distributed
    except Exception:
        # Reported with the packages.
        return
    if not (distributed.is_available() and distributed.is_gloo_available()):
        use = "Optional, for one training over several processes (torchrun): install another build of torch."
        yield Finding("torchrun", "note", "this torch has no gloo", use)
        return
    nccl = distributed.is_nccl_available()
    devices = torch.cuda.device_count()
    gpus = f"{devices} {'GPU' if devices == 1 else 'GPUs'} here"
    words = f"gloo for CPUs, {'NCCL' if nccl else 'no NCCL'} for GPUs; {gpus}"
    if devices > 1 and not nccl:
        use = "Optional, for one training over several GPUs (torchrun): install a build of torch that has NCCL."
        yield Finding("torchrun", "note", words, use)
    else:
        yield Finding("torchrun", "ok", words)
