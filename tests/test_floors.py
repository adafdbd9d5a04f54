from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CALLED = "from nasplug.cli import main; main({arguments}, standalone_mode=False)"


@pytest.mark.parametrize(
    "code",
    [
        "import nasplug, nasplug.cli, nasplug.plugins",
        CALLED.format(arguments=["--help"]),
        CALLED.format(arguments=["--version"]),
        CALLED.format(arguments=["list"]),
        CALLED.format(arguments=["list", "--json"]),
        CALLED.format(arguments=["plugins"]),
    ],
)
def test_torch_is_not_imported(code):
    check = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); {code}"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stderr == "False\n"


def test_modules_import_only_from_floors_below():
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"]

    done = subprocess.run(lint, capture_output=True, text=True, cwd=ROOT, check=False)

    assert done.returncode == 0, done.stdout
