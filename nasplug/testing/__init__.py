"""Tests of the contract that a plugin keeps: `PluginContract` for pytest, `nasplug check` for the command line.

Each check finds a mistake that real search code has had. The whole contract test of a plugin:

    from nasplug.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "nasplug-mine"

An executor is also tested by whole runs: `ExecutorContract`.
"""

from __future__ import annotations

from nasplug.testing.contract import PluginContract
from nasplug.testing.executor_contract import ExecutorContract

__all__ = ["ExecutorContract", "PluginContract"]
