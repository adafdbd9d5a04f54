"""The state of any part as plain data: its attrs fields with `init=False`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


def read_state(part: Any) -> dict[str, Any]:
    """The state fields of a part by name: numbers, text, lists and mappings thereof."""
    return {field.name: getattr(part, field.name) for field in attrs.fields(type(part)) if not field.init}


def write_state(part: Any, state: Mapping[str, Any]) -> None:
    """Puts state back that `read_state` gave, also after a way through JSON."""
    for name, value in state.items():
        setattr(part, name, value)
