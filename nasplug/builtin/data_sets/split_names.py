"""What people call the splits of a data set: names of folders, of values in a table, and of splits elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

SPLITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("train", "training"),
        "validation": ("val", "valid", "validation", "dev"),
        "test": ("test", "testing"),
    }
)
"""In any case, also with an ending such as in `train_set` or `Test images`. Names that some use for validation and
others for the test, such as `eval` and `holdout`, are none of them."""
ENDING = re.compile("[ _-]?(set|split|data|images)$")


def find_split(name: str) -> str | None:
    """Which of SPLITS `name` means; None: none of them."""
    plain = ENDING.sub("", name.strip().lower())
    return next((split for split, names in SPLITS.items() if plain in names), None)
