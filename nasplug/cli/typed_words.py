"""What the user has typed, for run folders and for messages that repeat it."""

from __future__ import annotations

import sys


def typed_words() -> list[str]:
    """The command of this process, whatever its program was started by: nasplug, python -m nasplug or torchrun."""
    return ["nasplug", *sys.argv[1:]]
