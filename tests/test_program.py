"""How the program ends."""

from __future__ import annotations

import subprocess
import sys

REFUSED = """
import atexit, sys
from nasplug.__main__ import run_program
atexit.register(print, "done at the end")
sys.argv = ["nasplug", "show", "nothing-of-this-name"]
print("said before")
run_program()
"""


def test_a_refusal_leaves_with_its_code_and_with_all_that_was_to_be_said_and_done():
    ended = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout.splitlines() == ["said before", "done at the end"]
    assert ended.stderr.startswith("Error: ")
    assert len(ended.stderr.splitlines()) == 1
