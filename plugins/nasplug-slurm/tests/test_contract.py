from __future__ import annotations

import pytest

pytest.importorskip("nasplug_slurm", reason="nasplug-slurm is not installed")

from nasplug.testing import PluginContract


class TestContract(PluginContract):
    plugin = "nasplug-slurm"
