from __future__ import annotations

import pytest

pytest.importorskip("nasplug_ray", reason="nasplug-ray is not installed")

from nasplug.testing import PluginContract


class TestContract(PluginContract):
    plugin = "nasplug-ray"
