"""When a part is believed that its operations are the same in every step."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any


def key_of(part: Any, *arguments: object, methods: tuple[str, ...]) -> Hashable | None:
    """The `graph_key` of a part whose step is static, else None.

    `arguments` are those of its `graph_key`; `methods` are the methods of the part that a step calls. A stage that asks
    a frozen network has to know `key_of(network, methods=("outputs",))` in its own key.
    """
    if not (part.static_graph and key_is_trustworthy(part, *methods)):
        return None
    key: Hashable | None = part.graph_key(*arguments)
    return key


def key_is_trustworthy(part: object, *methods: str) -> bool:
    """Whether the class that set `static_graph`, or wrote the `graph_key`, knew what these methods of the part do.

    A subclass that overrides one of them and inherits the claim may compute with what the key does not name.
    """
    cls: Any = type(part)
    return _is_trustworthy(cls, methods)


@cache
def _is_trustworthy(cls: Any, methods: tuple[str, ...]) -> bool:
    def depth(name: str) -> int:
        """How far up the classes the nearest definition of `name` is."""
        return next((place for place, base in enumerate(cls.__mro__) if name in vars(base)), len(cls.__mro__))

    claimed = min(depth("static_graph"), depth("graph_key"))
    return all(claimed <= depth(method) for method in methods)
