from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from nasplug.phases.memory import keep_freed_memory

def faults():
    def step():
        [torch.ones(size << 18) for size in (1, 8, 24, 2)]  # MiB

    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory(), faults())
"""
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told how to allocate")


def counted(**environment):
    chosen = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, env=chosen | environment, capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    return int(before), kept == "True", int(after)


@on_glibc
def test_memory_that_a_step_freed_is_not_asked_for_again():
    before, kept, after = counted()
    assert kept
    assert after < 1000 < before  # 35 MiB are 8,960 pages of 4 KiB


@on_glibc
def test_what_the_environment_says_about_allocation_is_left_alone():
    _, kept, _ = counted(MALLOC_TRIM_THRESHOLD_="1048576")
    assert not kept
