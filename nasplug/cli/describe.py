"""What a registered name stands for, as plain data ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.plugins import Plugins, Registration
from nasplug.values import Method
from nasplug.values.options import option_fields
from nasplug.values.recipe import SLOTS


def summarise(registration: Registration) -> dict[str, Any]:
    """What `nasplug list` says of it."""
    return {
        "slot": registration.slot,
        "name": registration.name,
        "distribution": registration.distribution,
        "version": registration.version,
        "summary": registration.summary,
    }


def describe(plugins: Plugins, registration: Registration) -> dict[str, Any]:
    """What `nasplug show` says of it: the summary, then a part's options or a method's recipe.

    Imports the object; InputError if that fails or if it is not what its slot asks for.
    """
    target = plugins.resolve(registration)
    known = {**summarise(registration), "target": registration.target}
    if registration.slot == "method":
        return {**known, **_describe_method(target)}
    return {
        **known,
        "options": [_describe_option(registration.section, field) for field in option_fields(target).values()],
    }


def _describe_option(section: str, field: attrs.Attribute[Any]) -> dict[str, Any]:
    kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory()
    choices = field.metadata.get("choices")
    return {
        "name": field.name,
        "key": f"{section}.{field.name}",
        "type": kind,
        "required": default is attrs.NOTHING,
        "default": None if default is attrs.NOTHING else to_plain(default),
        "choices": None if choices is None else list(choices),
        "meaning": field.metadata.get("summary", ""),
    }


def _describe_method(method: Method) -> dict[str, Any]:
    return {
        "parts": {slot: getattr(method, slot) for slot in SLOTS if getattr(method, slot)},
        "options": to_plain(method.options),
        "presets": to_plain(method.presets),
        "paper": method.paper,
    }


def to_plain(value: Any) -> Any:
    """Mappings and tuples as JSON knows them."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    return [to_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value
