"""The names of a plugin package, derived from its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

import attrs

from nasplug.errors import InputError, quote

PREFIX = "nasplug-"
"""The prefix of the distributions of plugins, by which a package index can be searched."""
LONGEST = 40
_SHORT = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")


@attrs.frozen
class Names:
    """The names of one plugin package."""

    short: str
    """The name of its part or method: what users write after --schedule, for example."""

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """The names derived from the last component of a path, without a leading "nasplug-".

        `folder` is a result of `new_folder`. Raises InputError, with a similar name that works, if it cannot be a name.
        """
        short = folder.resolve().name.removeprefix(PREFIX)
        if not _SHORT.fullmatch(short) or len(short) > LONGEST:
            words = re.findall(r"[a-z0-9]+", short.lower())
            similar = re.sub(r"^[0-9-]+", "", "-".join(words))[:LONGEST].rstrip("-")
            raise InputError(
                f"A plugin cannot be named {quote(short)}: a name begins with a letter and has at most {LONGEST} "
                f"lower-case letters and digits, with single '.', '_' or '-' between them. Try {similar or 'mine'}."
            )
        return cls(short)

    @property
    def distribution(self) -> str:
        """The name of the distribution, for pip."""
        return f"{PREFIX}{self.short}"

    @property
    def package(self) -> str:
        """The name of the Python package."""
        return re.sub(r"[._-]", "_", self.distribution)
