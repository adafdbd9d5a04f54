from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from nasplug.runs import memory

FAULTS = """
import resource
import runpy
import sys

keep_freed_memory = runpy.run_path(sys.argv[1])["keep_freed_memory"]

def faults():
    def step():
        [b"x" * (24 << 20) for _ in range(4)]  # over twice the largest block, which glibc would learn to keep

    step()
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told how to allocate")
def test_memory_that_a_step_freed_is_not_asked_for_again():
    chosen = {name: value for name, value in os.environ.items() if "MALLOC" not in name and "GLIBC" not in name}
    command = [sys.executable, "-c", FAULTS, memory.__file__]  # alone: that is quicker than with all of torch
    done = subprocess.run(command, env=chosen, capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    assert kept == "True"
    assert int(after) < 1000 < int(before)  # 96 MiB are 24,576 pages of 4 KiB


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_MMAP_MAX_", "0"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1048576")]
)
def test_what_the_environment_says_about_allocation_is_left_alone(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not memory.keep_freed_memory()
