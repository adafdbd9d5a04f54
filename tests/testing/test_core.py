from __future__ import annotations

from typing import ClassVar

import pytest

from nasplug.testing import PluginContract

pytestmark = pytest.mark.slow


class TestContract(PluginContract):
    plugin = "nasplug"
    options: ClassVar = {
        "space compact": {"stages": ["s1 2x8", "s2 2x16"], "channels": 8},
        "space darts": {"cells": 3, "nodes": 2, "channels": 2},
        "space mbconv": {"blocks": ["s1 1x8 2x8", "s2 1x8"], "channels": 8},
        "space nb201": {"cells": 1, "channels": 2},
    }
