"""By what processes know whether they may go on with what a program has asked them for, wherever they are."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Self

import attrs

from nasplug.store.files import write_atomically

FILE = "workers.token"
POLL_SECONDS = 0.2
"""Least time between two looks at the file of a token."""


@attrs.define(eq=False)
class WorkerToken:
    """A fencing token: a word in a file of a folder that all machines see. Work goes on while it is there.

    Whoever carries out the work in this folder next writes another word; so processes that an earlier program has left
    behind stop by themselves, even those that a queue starts only then.
    """

    path: Path
    word: str
    _looked: float = attrs.field(default=float("-inf"), init=False)
    _is_valid: bool = attrs.field(default=True, init=False)

    @classmethod
    def issue(cls, folder: Path) -> Self:
        """A new token, in place of any other of this folder. RunFailure if it cannot be written."""
        token = cls(folder / FILE, secrets.token_hex(8))
        write_atomically(token.path, token.word.encode())
        return token

    def revoke(self) -> None:
        """Stops all work that goes on by this token. Another one, issued meanwhile, stays."""
        if self._read() == self.word:
            self.path.unlink(missing_ok=True)

    def is_valid(self) -> bool:
        """Whether the work goes on; the file is read every POLL_SECONDS at most, and never again once it is over."""
        now = time.monotonic()
        if self._is_valid and now - self._looked >= POLL_SECONDS:
            self._looked = now
            self._is_valid = self._read() in (self.word, None)
        return self._is_valid

    def _read(self) -> str | None:
        """The word that is in force, an empty one if there is none; None if the file cannot be read at the moment."""
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            return None
