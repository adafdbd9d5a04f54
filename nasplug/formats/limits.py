"""How much is read: the size of a file and of a text, the depth of nesting, and the digits of a number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nasplug.errors import InputError

LARGEST_FILE = 64 * 2**20
"""Bytes of a file of text or of a table."""
LARGEST_TEXT = 2**20
"""Letters of an architecture; the largest published ones have a few thousand."""
DEEPEST = 32
"""Levels of nesting of lists and objects."""
MOST_DIGITS = 30
"""Digits of a whole number."""

_LARGEST_NUMBER = 10**MOST_DIGITS


class FormatError(InputError):
    """What is wrong with a text or a file, as the end of a sentence about it that begins "it": "it is not JSON"."""


def check_length(text: str) -> None:
    """Refuses a text that is too long for an architecture."""
    if len(text) > LARGEST_TEXT:
        raise FormatError(f"it has {len(text)} letters, and at most {LARGEST_TEXT} are read")


def check_value(value: Any) -> Any:
    """`value`, as a reader of JSON or TOML has made it of a text, unless some of it could not be used or written again.

    Refused are nesting below DEEPEST levels, whole numbers of more than MOST_DIGITS digits, and halves of letters
    (surrogates), which no file of text can hold. The walk is by level, not recursive.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise too_deep()
        below: list[Any] = []
        for entry in level:
            if isinstance(entry, str):
                if not entry.isascii() and not is_unicode(entry):
                    raise FormatError("it has a letter that is no Unicode character")
            elif isinstance(entry, int):
                if not -_LARGEST_NUMBER < entry < _LARGEST_NUMBER:
                    raise too_many_digits()
            elif isinstance(entry, dict):
                below += entry.values()
                level += entry  # the names, which are checked like texts of the same level
            elif isinstance(entry, list):
                below += entry
        level = below
    return value


@contextmanager
def parsing(form: str, syntax_error: type[ValueError]) -> Iterator[None]:
    """Turns what a parser of a format raises inside the block into the FormatError that it stands for."""
    try:
        yield
    except syntax_error as error:
        raise FormatError(f"it is not {form} ({error})") from error
    except RecursionError as error:
        raise too_deep() from error
    except FormatError:
        raise
    except ValueError as error:  # Python reads no number of thousands of digits
        raise too_many_digits() from error


def too_deep() -> FormatError:
    """The refusal of lists and objects within each other."""
    return FormatError(f"it is nested more than {DEEPEST} deep")


def too_many_digits() -> FormatError:
    """The refusal of a huge whole number."""
    return FormatError(f"it has a whole number of more than {MOST_DIGITS} digits")


def is_unicode(text: str) -> bool:
    """Whether a file of text can hold it; what was read from bytes that are not UTF-8, such as a name, it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
