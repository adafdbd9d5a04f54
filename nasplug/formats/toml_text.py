"""TOML: the one reader."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from nasplug.errors import InputError, quote
from nasplug.formats.limits import FormatError, check_value, parsing
from nasplug.formats.regular_file import decode, read_file


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables of a TOML file; InputError, which calls it `what`, if there is no such file or it is none."""
    content = read_file(path, what)
    try:
        return parse_toml(decode(content))
    except FormatError as error:
        raise InputError(f"The {what} {quote(path)} is not TOML that can be read: {error}.") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The tables that a text of TOML describes; FormatError if it is none, or exceeds the limits."""
    with parsing("TOML", tomllib.TOMLDecodeError):
        tables = tomllib.loads(text)
    checked: dict[str, Any] = check_value(tables)
    return checked
