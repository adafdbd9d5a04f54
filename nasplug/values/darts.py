"""DARTS as a recipe: public, because other methods are DARTS but for one part, and their code should say just that."""

from __future__ import annotations

from typing import Any

from nasplug.values.method import Method
from nasplug.values.recipes import DARTS_CIFAR, DARTS_IMAGENET, NB201

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
"""Small images on a CPU. Some hundred steps instead of 2 10^4, so alpha learns at a higher rate."""

PAPER_CIFAR10: Preset = {
    "space": {"cells": 8, "channels": 16},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025},
    "retrain": {**DARTS_CIFAR, "cells": 20, "widths": [36]},
}
"""Liu, Simonyan & Yang, ICLR 2019, as released: half of CIFAR-10's training images move alpha, half the weights."""

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
    "retrain": {**DARTS_IMAGENET, "cells": 14, "widths": [48]},
}
"""Images of 224 pixels in folders. The retraining is the paper's.

The paper takes the cells that a search on CIFAR-10 found; here the same search sees the images given, on which its
stem leaves maps as small as CIFAR-10's. Two epochs of ImageNet are as many steps as its 50 of CIFAR-10.
"""

PAPER_NB201: Preset = {
    "space": {"part": "nb201", "channels": 16, "cells": 5},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025, "nesterov": True, "weight_decay": 5e-4},
    "retrain": {**NB201, "widths": [16]},
}
"""Search and retraining on CIFAR-10 as in NAS-Bench-201 (Dong & Yang, ICLR 2020; AutoDL's configurations).

In each step alpha moves before the weights, as in DARTS; AutoDL has it the other way round.
"""

DARTS = Method(
    name="darts",
    space="darts",
    optimizer="bilevel",
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
        "paper-nb201": PAPER_NB201,
    },
    paper="paper-cifar10",
)
