from __future__ import annotations

from typing import ClassVar

from nasplug.testing import PluginContract


class TestContract(PluginContract):
    plugin = "nasplug-sd-darts"
    options: ClassVar = {"space darts": {"cells": 3, "nodes": 2, "channels": 2}}
