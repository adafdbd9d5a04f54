"""Tests of the contract that a plugin keeps: `PluginContract` for pytest, `nasplug check` for the command line.

Each check finds a mistake that real search code has had. The whole contract test of a plugin:

    from nasplug.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "nasplug-mine"
"""

from __future__ import annotations

from nasplug.testing.contract import PluginContract

__all__ = ["PluginContract"]
