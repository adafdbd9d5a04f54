"""DARTS as a recipe. It is public because other methods differ from DARTS in one part and are derived from this one."""

from __future__ import annotations

from typing import Any

from nasplug.values.method import Method
from nasplug.values.recipes import BARE_SELECTION, COMPACT, DARTS_CIFAR, DARTS_IMAGENET, NB201

Preset = dict[str, dict[str, Any]]

TINY: Preset = {
    "space": {"cells": 3, "channels": 4},
    "search": {"epochs": 3, "batch_size": 32, "lr": 0.05},
    "optimizer": {"alpha_lr": 1e-2},
    "retrain": {"epochs": 2, "batch_size": 64, "optimizer": "adam", "lr": 1e-2, "widths": [4, 6]},
    "select": {**BARE_SELECTION},
}
"""A whole run in about half a minute on a CPU: for tests and a first look, not for good networks."""

LAPTOP: Preset = {
    "space": {"cells": 3, "channels": 8},
    "search": {"epochs": 25, "batch_size": 64, "lr": 0.05},
    "optimizer": {"alpha_lr": 1e-2},
    "retrain": {"epochs": 15, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "widths": [6, 8, 12, 16]},
}
"""Small images on a CPU. A few hundred steps instead of 2 * 10^4, hence a higher learning rate of alpha."""

COMPACT_SEARCH: Preset = {
    **COMPACT,
    "search": {"epochs": 10, "batch_size": 64, "lr": 0.05},
    "optimizer": {"alpha_lr": 1e-2},
}
"""Small networks for small devices; no paper has this search."""

PAPER_CIFAR10_FIRST: Preset = {
    "run": {"precision": "float32"},
    "space": {"cells": 8, "channels": 16},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025},
    "retrain": {**DARTS_CIFAR, "cells": 20, "widths": [36]},
}
"""Liu, Simonyan & Yang, ICLR 2019, as released: half of CIFAR-10's training images train alpha, half the weights.

First order, which the paper reports with 3.00 ± 0.14 % test error after 1.5 GPU days of search.
"""

PAPER_CIFAR10: Preset = {**PAPER_CIFAR10_FIRST, "optimizer": {"order": "second"}}
"""The same in second order, the headline of the paper: 2.76 ± 0.09 % test error after 4 GPU days of search."""

PAPER_IMAGENET: Preset = {
    "run": {"precision": "float32"},
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

The paper retrains cells found on CIFAR-10; here the search itself runs on the images in the folder, where its stem
reduces the feature maps to the size of those of CIFAR-10. Two epochs of ImageNet are about
as many steps as 50 of CIFAR-10.
"""

PAPER_NB201: Preset = {
    "run": {"precision": "float32"},
    "space": {"part": "nb201", "channels": 16, "cells": 5},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 50, "batch_size": 64, "lr": 0.025, "nesterov": True, "weight_decay": 5e-4},
    "retrain": {**NB201, "widths": [16]},
}
"""Search and retraining on CIFAR-10 as in NAS-Bench-201 (Dong & Yang, ICLR 2020; AutoDL's configurations).

In each step alpha is updated before the weights, as in DARTS; AutoDL updates the weights first.
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
        "compact": COMPACT_SEARCH,
        "paper-cifar10": PAPER_CIFAR10,
        "paper-cifar10-first": PAPER_CIFAR10_FIRST,
        "paper-imagenet": PAPER_IMAGENET,
        "paper-nb201": PAPER_NB201,
    },
    paper="paper-cifar10",
)
