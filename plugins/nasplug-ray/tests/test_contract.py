from __future__ import annotations

from nasplug.testing import PluginContract


class TestContract(PluginContract):
    plugin = "nasplug-ray"
