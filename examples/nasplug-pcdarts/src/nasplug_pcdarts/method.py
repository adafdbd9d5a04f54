"""PC-DARTS as a recipe (Xu et al., ICLR 2020): DARTS with another space, whose alpha rests in the first epochs."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS, LAPTOP, TINY
from nasplug.values.recipes import DARTS_CIFAR

Preset = dict[str, dict[str, Any]]

PAPER_CIFAR10: Preset = {
    "run": {"precision": "float32"},
    "space": {"cells": 8, "channels": 16, "partial": 4},
    "data": {"name": "cifar10", "validation": 0.0},
    "optimizer": {"alpha_lr": 6e-4, "warm_up": 15},
    "search": {"epochs": 50, "batch_size": 256, "lr": 0.1, "lr_min": 0.0},
    "retrain": {**DARTS_CIFAR, "drop_path": 0.3, "cells": 20, "widths": [36]},
}
"""Half of CIFAR-10's training images train alpha, from epoch 15 on. The paper reports 2.57 ± 0.07 % test error after
0.1 GPU days of search."""

PC_DARTS: Method = attrs.evolve(
    DARTS,
    name="pc-darts",
    space="pc-darts",
    presets={
        "tiny": {**TINY, "space": {"cells": 3, "channels": 8}},
        "laptop": {**LAPTOP, "space": {"cells": 3, "channels": 16}, "optimizer": {"warm_up": 7}},
        "paper-cifar10": PAPER_CIFAR10,
    },
    paper="paper-cifar10",
)
