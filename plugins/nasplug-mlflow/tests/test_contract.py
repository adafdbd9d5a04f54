from __future__ import annotations

from importlib.util import find_spec

import pytest

from nasplug.testing import PluginContract

if find_spec("nasplug_mlflow") is None:
    pytest.skip("nasplug-mlflow is not installed: uv pip install -e plugins/nasplug-mlflow", allow_module_level=True)


class TestContract(PluginContract):
    plugin = "nasplug-mlflow"
