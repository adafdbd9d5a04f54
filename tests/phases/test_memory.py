from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from nasplug.phases import memory

FAULTS = """
import resource
import runpy
import sys

keep_freed_memory = runpy.run_path(sys.argv[1])["keep_freed_memory"]

def faults():
    def step():
        [b"x" * (size << 20) for size in (1, 8, 24, 2)]

    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told how to allocate")
def test_memory_that_a_step_freed_is_not_asked_for_again():
    chosen = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", FAULTS, memory.__file__]  # alone: that is quicker than with all of torch
    done = subprocess.run(command, env=chosen, capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    assert kept == "True"
    assert int(after) < 1000 < int(before)  # 35 MiB are 8,960 pages of 4 KiB


def test_what_the_environment_says_about_allocation_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1048576")
    assert not memory.keep_freed_memory()
