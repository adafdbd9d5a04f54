from __future__ import annotations

from importlib.util import find_spec

import pytest

from nasplug.testing import PluginContract

if find_spec("nasplug_ray") is None:
    pytest.skip("nasplug-ray is not installed: uv pip install -e plugins/nasplug-ray", allow_module_level=True)


class TestContract(PluginContract):
    plugin = "nasplug-ray"
