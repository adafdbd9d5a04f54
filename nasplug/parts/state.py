"""The state of a part as plain data: its attrs fields with `init=False`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor


def read_state(part: Any) -> dict[str, Any]:
    """The state fields of `part` by name, ready for JSON; called whenever a checkpoint is written.

    Fields may hold numbers, text, None, lists and mappings of these, or tensors, which become (nested) lists.
    """
    fields = {field.name: getattr(part, field.name) for field in attrs.fields(type(part)) if not field.init}
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in fields.items()}


def write_state(part: Any, state: Mapping[str, Any]) -> None:
    """Restores what `read_state` returned, also after a round trip through JSON; called when a search is resumed.

    A field that holds a tensor needs an attrs converter that turns the list back into a tensor.
    """
    for name, value in state.items():
        setattr(part, name, value)
