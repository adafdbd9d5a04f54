"""GDAS as a recipe (Dong & Yang, CVPR 2019): DARTS with another architecture optimizer."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS, LAPTOP, TINY
from nasplug.values.recipes import DARTS_CIFAR

Preset = dict[str, dict[str, Any]]

PAPER_CIFAR10: Preset = {
    "run": {"precision": "float32"},
    "space": {"cells": 8, "channels": 16},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 250, "batch_size": 256, "lr": 0.025, "nesterov": True, "weight_decay": 5e-4},
    "retrain": {**DARTS_CIFAR, "lr_min": 1e-4, "cells": 20, "widths": [36]},
}
"""The released code: 2 cells of each width between reductions, 250 epochs, half of the images for alpha."""

GDAS: Method = attrs.evolve(
    DARTS,
    name="gdas",
    optimizer="gdas",
    options={section: options for section, options in DARTS.options.items() if section != "optimizer"},
    presets={
        "tiny": TINY,
        "laptop": {**LAPTOP, "search": {**LAPTOP["search"], "epochs": 100}},
        "paper-cifar10": PAPER_CIFAR10,
    },
)
