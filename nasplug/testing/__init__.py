"""Whether a plugin keeps the contract of its parts: `PluginContract` for pytest, `nasplug check` for the command line.

Each check stands for a mistake that search code has really been found with. A plugin's whole test of its contract:

    from nasplug.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "nasplug-mine"
"""

from __future__ import annotations

from nasplug.testing.contract import PluginContract

__all__ = ["PluginContract"]
