from __future__ import annotations

from importlib.util import find_spec

import pytest

from nasplug.testing import PluginContract

if find_spec("nasplug_slurm") is None:
    pytest.skip("nasplug-slurm is not installed: uv pip install -e plugins/nasplug-slurm", allow_module_level=True)


class TestContract(PluginContract):
    plugin = "nasplug-slurm"
