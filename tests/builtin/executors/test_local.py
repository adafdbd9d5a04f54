"""How many trainings `local` carries out at once, and which GPU each of them sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.builtin.executors.local import Local
from nasplug.parts import Workload


def seats(monkeypatch, jobs, device, count=0, visible=None, per_gpu=1):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    local, workload = Local(per_gpu=per_gpu), Workload(jobs, device, Path())
    environments = local._environments(workload)
    assert local.workers(workload) == (0 if jobs == 1 else len(environments))
    return [environment.get("CUDA_VISIBLE_DEVICES") for environment in environments]


@pytest.mark.parametrize(
    ("jobs", "device", "machine", "expected"),
    [
        (1, "cpu", {}, [None]),
        (3, "cpu", {"count": 2}, [None] * 3),
        (4, "cuda", {"count": 2}, ["0", "1"]),
        (3, "cuda", {"count": 2, "per_gpu": 2}, ["0", "1", "0"]),
        (9, "cuda", {"count": 2, "per_gpu": 2}, ["0", "1", "0", "1"]),
        (2, "cuda", {"count": 2, "visible": "3, GPU-5f"}, ["3", "GPU-5f"]),
        (4, "cuda:1", {"count": 2}, [None]),
        (4, "cuda:1", {"count": 2, "per_gpu": 3}, [None] * 3),
    ],
)
def test_trainings_are_spread_over_gpus(monkeypatch, jobs, device, machine, expected):
    assert seats(monkeypatch, jobs, device, **machine) == expected
