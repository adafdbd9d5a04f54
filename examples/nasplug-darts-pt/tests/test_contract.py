from __future__ import annotations

from typing import ClassVar

from nasplug.testing import PluginContract


class TestContract(PluginContract):
    plugin = "nasplug-darts-pt"
    options: ClassVar = {
        "selector perturbation": {"epochs": 1},
        "space darts": {"nodes": 2, "cells": 2, "channels": 2},  # 10 choices instead of 28
    }
