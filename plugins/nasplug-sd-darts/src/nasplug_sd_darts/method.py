"""SD-DARTS: DARTS that learns from its past (Zhu et al., arXiv 2302.05629). It is DARTS with a teacher.

The recipe repeats that of the method `darts`: a plugin builds on what is public, not on another's recipe. A test
holds the two together.
"""

from __future__ import annotations

from typing import Any

from nasplug.values import Method
from nasplug.values.recipes import DARTS_CIFAR, DARTS_IMAGENET

Preset = dict[str, dict[str, Any]]

TINY: Preset = {
    "space": {"cells": 3, "channels": 4},
    "search": {"epochs": 3, "batch_size": 32, "lr": 0.05},
    "optimizer": {"alpha_lr": 1e-2},
    "retrain": {"epochs": 2, "batch_size": 64, "optimizer": "adam", "lr": 1e-2, "widths": [4, 6]},
}
"""The whole journey in about half a minute on a CPU: for tests and a first look, not for good networks."""

LAPTOP: Preset = {
    "space": {"cells": 3, "channels": 8},
    "search": {"epochs": 25, "batch_size": 64, "lr": 0.05},
    "optimizer": {"alpha_lr": 1e-2},
    "retrain": {"epochs": 15, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "widths": [6, 8, 12, 16]},
}
"""Small images on a CPU."""

PAPER_CIFAR10: Preset = {
    "space": {"cells": 8, "channels": 16},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025},
    "teacher": {"pace": "paper"},
    "retrain": {**DARTS_CIFAR, "cells": 20, "widths": [36]},
}
"""The search and the retraining of DARTS. The teacher's constants are inferred, for the paper's could not be read."""

PAPER_IMAGENET: Preset = {
    "space": {"cells": 8, "channels": 16, "stem": "imagenet"},
    "data": {"name": "folder", "size": 224, "validation": 0.0},
    "search": {
        "epochs": 2,
        "batch_size": 64,
        "lr": 0.025,
        "augment": "imagenet",
        "color_jitter": DARTS_IMAGENET["color_jitter"],
    },
    "teacher": {"interval": 390, "interval_unit": "step"},
    "retrain": {**DARTS_IMAGENET, "cells": 14, "widths": [48]},
}
"""As `darts` has it: two epochs of ImageNet are as many steps as 50 of CIFAR-10, of 390 steps each."""

PAPER_NB201: Preset = {
    "space": {"part": "nb201", "channels": 16, "stage_cells": 5},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025, "nesterov": True, "weight_decay": 5e-4},
    "teacher": {"pace": "paper"},
    "retrain": {
        "epochs": 200,
        "batch_size": 256,
        "optimizer": "sgd",
        "nesterov": True,
        "lr": 0.1,
        "lr_schedule": "cosine",
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "clip": 0.0,
        "widths": [16],
    },
}
"""Search and retraining as NAS-Bench-201 has them (Dong & Yang, ICLR 2020; AutoDL's configurations)."""

SD_DARTS = Method(
    name="sd-darts",
    space="darts",
    optimizer="bilevel",
    teacher="voting",
    options={
        "space": {"topology": "per-type", "choices": "edge", "operations": ["darts"]},
        "optimizer": {"order": "first"},
        "search": {
            "optimizer": "sgd",
            "lr_min": 0.001,
            "lr_schedule": "cosine",
            "momentum": 0.9,
            "weight_decay": 3e-4,
            "clip": 5.0,
        },
    },
    presets={
        "tiny": TINY,
        "laptop": LAPTOP,
        "paper-cifar10": PAPER_CIFAR10,
        "paper-imagenet": PAPER_IMAGENET,
    },
    paper="paper-cifar10",
)
