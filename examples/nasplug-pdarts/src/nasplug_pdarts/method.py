"""P-DARTS as a recipe (Chen, Xie, Wu & Tian, ICCV 2019): DARTS in supernets that grow."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS, LAPTOP, TINY
from nasplug.values.recipes import DARTS_CIFAR

Preset = dict[str, dict[str, Any]]

PAPER_CIFAR10: Preset = {
    "run": {"precision": "float32"},
    "space": {"cells": 5, "channels": 16},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 25, "batch_size": 96, "lr": 0.025},
    "optimizer": {"alpha_lr": 6e-4, "warm_up": 10},
    "schedule": {"cells": [11, 17], "keep": [5, 3], "dropout": [0.0, 0.4, 0.7], "warm_up": 10},
    "retrain": {**DARTS_CIFAR, "batch_size": 128, "drop_path": 0.3, "cells": 20, "widths": [36]},
}
"""The paper on CIFAR-10, which reports 2.50 % test error after 0.3 GPU days of search.

Depths, candidates, rates of dropout and epochs are the paper's; batch sizes, learning rates and the retraining are
those of the released code, whose command line asks for rates of dropout of 0.1, 0.4 and 0.7.
"""

P_DARTS: Method = attrs.evolve(
    DARTS,
    name="p-darts",
    schedule="progressive",
    selector="few-skips",
    options={**DARTS.options, "search": {**DARTS.options["search"], "lr_min": 0.0}},
    presets={
        "tiny": {
            **TINY,
            "optimizer": {**TINY["optimizer"], "warm_up": 1},
            "schedule": {"cells": [4, 5], "warm_up": 1},
        },
        "laptop": {
            **LAPTOP,
            "search": {**LAPTOP["search"], "epochs": 10},
            "optimizer": {**LAPTOP["optimizer"], "warm_up": 4},
            "schedule": {"cells": [5, 7], "warm_up": 4},
        },
        "paper-cifar10": PAPER_CIFAR10,
    },
)
