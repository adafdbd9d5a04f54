"""What a plugin package is called, from the folder that a user asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

import attrs

from nasplug.errors import InputError

PREFIX = "nasplug-"
"""What the distributions of plugins begin with, so that they can be found."""
LONGEST = 40
_SHORT = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")


@attrs.frozen
class Names:
    """The names of one plugin package."""

    short: str
    """The name of its part or method: what users write after --schedule, say."""

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """From the last component of a path, without a leading "nasplug-". InputError if it cannot be a name.

        `folder` is one that `new_folder` gave.
        """
        asked = folder.resolve().name
        short = asked.removeprefix(PREFIX)
        if not _SHORT.fullmatch(short) or len(short) > LONGEST:
            words = re.findall(r"[a-z0-9]+", short.lower())
            near = re.sub(r"^[0-9-]+", "", "-".join(words))[:LONGEST].rstrip("-")
            raise InputError(
                f"A plugin cannot be named '{short}': a name begins with a letter and has at most {LONGEST} lower-case "
                f"letters and digits, with single '.', '_' or '-' between them. Try {near or 'mine'}."
            )
        return cls(short)

    @property
    def distribution(self) -> str:
        """What is installed."""
        return f"{PREFIX}{self.short}"

    @property
    def package(self) -> str:
        """What is imported."""
        return re.sub(r"[._-]", "_", self.distribution)
