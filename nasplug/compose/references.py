"""Builds reference networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.errors import InputError, quote
from nasplug.parts import ReferenceNetwork
from nasplug.plugins import Plugins
from nasplug.plugins.located_names import split_location
from nasplug.plugins.program_objects import build_part


def build_reference(plugins: Plugins, name: str, options: Mapping[str, Any] | None = None) -> ReferenceNetwork:
    """The reference network `name`, such as "resnet8" or "timm:resnet18", with these options, by default its own.

    Raises InputError for a name that no plugin registers, a location where it takes none or lacks one, and options
    that it does not have.
    """
    registered, location = split_location(plugins, "reference", name)
    option = plugins.resolve(plugins.find("reference", registered)).location_option
    if bool(location) != bool(option):
        right = f"{registered}:NAME" if option else registered
        raise InputError(f"The reference network '{registered}' is written {right}, but got {quote(name)}.")
    located = {option: location} if option else {}
    reference: ReferenceNetwork = build_part(plugins, "reference", registered, {**(options or {}), **located})
    return reference
