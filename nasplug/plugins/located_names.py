"""Splits names such as "folder:C:/images" or "timm:resnet18" into registered name and location."""

from __future__ import annotations

from packaging.utils import canonicalize_name

from nasplug.plugins.lookup import Plugins


def split_location(plugins: Plugins, slot: str, name: str) -> tuple[str, str]:
    """The registered name at the start of `name`, and the location after it, such as "folder" and "C:/images".

    The registered name may be qualified as "distribution:name"; a location may follow this, too.
    """
    first, _, rest = name.partition(":")
    second, _, location = rest.partition(":")
    if plugins.find_all(slot, f"{first}:{second}"):
        return f"{first}:{second}", location
    if second and not plugins.find_all(slot, first) and _supplies(plugins, slot, first):
        return f"{first}:{second}", location  # not registered, but the refusal should name what was meant
    return first, rest


def _supplies(plugins: Plugins, slot: str, distribution: str) -> bool:
    return any(
        registration.slot == slot and canonicalize_name(registration.distribution) == canonicalize_name(distribution)
        for registration in plugins.registrations
    )
