"""Finds installed plugins and the parts, methods and data sets that they register."""

from __future__ import annotations

from nasplug.plugins.discovery import plugin_versions
from nasplug.plugins.load import load_plugins
from nasplug.plugins.lookup import Plugins
from nasplug.plugins.plugin import Plugin
from nasplug.plugins.settings import Settings
from nasplug.register import SLOT_WORDS, Register, Registration

__all__ = [
    "SLOT_WORDS",
    "Plugin",
    "Plugins",
    "Register",
    "Registration",
    "Settings",
    "load_plugins",
    "plugin_versions",
]
