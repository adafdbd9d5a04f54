"""Genotypes as arguments of commands: the name of a file, or the text itself."""

from __future__ import annotations

from pathlib import Path

from nasplug.errors import InputError, quote
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, find_kind, read_file
from nasplug.parts import SearchSpace
from nasplug.values import Genotype

NOTATION = frozenset("{[(|")
"""Letters of every notation of genotypes; a text with none of them was meant as the name of a file."""


def read_genotype(space: SearchSpace, file_or_text: str) -> Genotype:
    """The genotype in the file of this name, or where there is none, the one that the text itself describes."""
    content = _read_file(file_or_text)
    if content is not None:
        return space.parse(content)
    try:
        return space.parse(file_or_text)
    except InputError as error:
        if set(file_or_text) & NOTATION:
            raise
        raise InputError(
            f"There is no genotype file {quote(file_or_text)}, and the space '{space.name}' cannot read it as text: "
            f"{error}"
        ) from error


def _read_file(name: str) -> str | None:
    """What the file of this name holds; None if there is none."""
    path = Path(name)
    try:
        if not name or find_kind(path) is None:
            return None
    except InputError:  # longer than any file name, or with letters that none has
        return None
    content = read_file(path, "genotype file")
    try:
        return decode(content)
    except FormatError as error:
        raise InputError(f"The genotype file {quote(path)} is not text that can be read: {error}.") from error
