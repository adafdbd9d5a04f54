"""The state of any part as plain data: its attrs fields with `init=False`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor


def read_state(part: Any) -> dict[str, Any]:
    """The state fields of a part by name: numbers, text, lists and mappings thereof; tensors as their values."""
    fields = {field.name: getattr(part, field.name) for field in attrs.fields(type(part)) if not field.init}
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in fields.items()}


def write_state(part: Any, state: Mapping[str, Any]) -> None:
    """Puts state back that `read_state` gave, also after a way through JSON.

    A field that holds a tensor needs a converter (of attrs), which makes one of its values again.
    """
    for name, value in state.items():
        setattr(part, name, value)
