"""Whose graph keys are to be believed."""

from __future__ import annotations

from functools import cache
from typing import Any


def speaks_for_itself(part: object, *methods: str) -> bool:
    """Whether the `graph_key` of a part was written by a class that knew what these methods of the part do.

    A subclass that changes one of them, and inherits the key, may compute with what the key does not name.
    """
    cls: Any = type(part)
    return _knows(cls, methods)


@cache
def _knows(cls: Any, methods: tuple[str, ...]) -> bool:
    def first(name: str) -> int:
        return next((place for place, each in enumerate(cls.__mro__) if name in vars(each)), len(cls.__mro__))

    return all(first("graph_key") <= first(method) for method in methods)
