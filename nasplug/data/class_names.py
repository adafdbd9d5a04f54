"""Names that can be written to any file and shown in any terminal."""

from __future__ import annotations

import unicodedata

from nasplug.errors import InputError
from nasplug.formats.limits import is_unicode
from nasplug.parts import ImageData

CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of control characters and of the separators of lines and paragraphs."""


def check_class_names(data: ImageData) -> None:
    """Raises InputError for names of classes that no file or terminal can hold, before anything is trained."""
    for name in data.classes:
        if not name.strip():
            why = "is empty"
        elif not is_unicode(name):
            why = "is not valid UTF-8"
        elif any(unicodedata.category(character) in CONTROLS for character in name):
            why = "holds control characters"
        else:
            continue
        raise InputError(
            f"The name of the class {name!a} of data set '{data.name}' {why}; rename it (its folder, or its entry in "
            f"the list of names)."
        )


def printable(text: str) -> str:
    """`text` with escapes in place of control characters and of bytes that are not UTF-8."""
    encodable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in CONTROLS else character
        for character in encodable
    )
