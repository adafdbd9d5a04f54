"""Finds installed plugins and the parts, methods and data sets that they register."""

from __future__ import annotations

from nasplug.plugins.installed import BrokenPlugin, Plugins
from nasplug.plugins.loading import load_plugins, plugin_versions
from nasplug.plugins.register import SLOT_WORDS, Register, Registration

__all__ = ["SLOT_WORDS", "BrokenPlugin", "Plugins", "Register", "Registration", "load_plugins", "plugin_versions"]
