"""The example of a network of one's own keeps the contract of a search space."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from nasplug.testing import PluginContract


class TestMyResNet(PluginContract):
    plugin = Path(__file__).parents[2] / "examples" / "my_resnet.py"
    options: ClassVar = {"space my-resnet": {"channels": 2}}
