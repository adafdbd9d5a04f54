"""Reports are drawn whatever backend of matplotlib the environment names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
import nasplug.report
import matplotlib
print(matplotlib.rcParams._get("backend"), os.environ["MPLBACKEND"])
"""


@pytest.mark.parametrize(("named", "used"), [("module://no_such_module.backend", None), ("pdf", "pdf")])
def test_a_backend_that_is_not_there_does_no_harm(named, used):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"MPLBACKEND": named},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    backend, kept = done.stdout.rsplit(maxsplit=1)
    assert kept == named
    assert used is None or backend == used
