"""Names of classes that look wrong in form, such as a placeholder, or one class under two spellings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from nasplug.data.reading import list_some

SPLIT_WORDS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "holdout"}
)
PLACEHOLDERS = frozenset(
    {"nan", "none", "null", "nil", "na", "n/a", "unknown", "undefined", "unlabeled", "unlabelled", "label", "?", "-"}
)
FILE_NAME = re.compile(r"\.(jpe?g|jfif|png|webp|tiff?|bmp|gif|jp2|avif|heic|ppm|csv|txt|npy)$", re.IGNORECASE)

ACCENT = re.compile("(?<=[A-Za-z])[\u0300-\u036f]+")
SEPARATORS = re.compile(r"[\s_-]+")
LONGEST_NUMBER = 9

FORMS: Mapping[str, Callable[[str], bool]] = {
    "called like a split of the data, not like a class": lambda name: name.strip().casefold() in SPLIT_WORDS,
    "called like a label that is missing; if it is none, leave these images out": (
        lambda name: name.strip().casefold() in PLACEHOLDERS
    ),
    "called like a file": lambda name: FILE_NAME.search(name.strip()) is not None,
    "named with blanks at the beginning or the end": lambda name: name != name.strip(),
}
"""What a name may look like, in words."""


def note_label_forms(classes: Sequence[str]) -> list[str]:
    """A sentence for each way in which names of classes look wrong."""
    notes = _note_similar(classes)
    for words, matches in FORMS.items():
        if found := [repr(name) for name in classes if matches(name)]:
            notes.append(
                f"{'The class' if len(found) == 1 else 'The classes'} {list_some(found)} "
                f"{'is' if len(found) == 1 else 'are'} {words}."
            )
    return notes + _note_gaps(classes)


def _note_similar(classes: Sequence[str]) -> list[str]:
    """Classes whose names differ only by case, blanks, accents or compatible characters."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_simplify(name), []).append(name)
    return [
        f"The classes {' and '.join(map(repr, group))} have nearly the same name; if they are one, give their images "
        f"one label."
        for group in groups.values()
        if len(group) > 1
    ]


def _simplify(name: str) -> str:
    # Marks on other than Latin letters make other letters, in Japanese for instance.
    plain = ACCENT.sub("", unicodedata.normalize("NFKD", name))
    return SEPARATORS.sub(" ", unicodedata.normalize("NFC", plain).casefold().strip())


def _note_gaps(classes: Sequence[str]) -> list[str]:
    """Classes named by numbers, of which a few are missing."""
    if not all(name.isascii() and name.isdecimal() and len(name) <= LONGEST_NUMBER for name in classes):
        return []
    numbers = set(map(int, classes))
    low, high = min(numbers), max(numbers)
    if not 0 < high - low + 1 - len(numbers) < len(numbers):  # more than that is no counting of classes
        return []
    missing = [str(number) for number in range(low, high + 1) if number not in numbers]
    return [f"The classes are the numbers from {low} to {high} without {list_some(missing)}; are there images missing?"]
