"""SNPS: search by super-network progressive shrinking (Rao et al., arXiv 2504.20080)."""

from __future__ import annotations

from typing import Any

from nasplug.values import Method
from nasplug.values.recipes import BARE_SELECTION, COMPACT, DARTS_CIFAR, PC_DARTS_IMAGENET

TINY: dict[str, dict[str, Any]] = {
    "space": {"cells": 3, "channels": 4},
    "optimizer": {"alpha_lr": 5.0},
    "schedule": {"pace": "fit"},
    "search": {"epochs": 3, "batch_size": 64, "lr": 5e-3},
    "retrain": {"epochs": 2, "batch_size": 64, "optimizer": "adam", "lr": 1e-2},
    "select": {**BARE_SELECTION, "networks": 2},
}
"""A whole run in about half a minute on a CPU: for tests and a first look, not for good networks."""

LAPTOP: dict[str, dict[str, Any]] = {
    "space": {"cells": 3, "channels": 8},
    "optimizer": {"alpha_lr": 2.0},
    "schedule": {"pace": "fit"},
    "search": {"epochs": 25, "batch_size": 64, "lr": 3e-3},
    "retrain": {"epochs": 15, "batch_size": 64, "optimizer": "sgd", "lr": 0.1},
    "select": {"networks": 4},
}
"""Small images on a CPU. Some 400 steps instead of 10^4, so the learning rate of alpha is ten times as large."""

COMPACT_SEARCH: dict[str, dict[str, Any]] = {
    **COMPACT,
    "optimizer": {"alpha_lr": 2.0},
    "schedule": {"pace": "fit"},
    "search": {"epochs": 10, "batch_size": 128, "lr": 3e-3},
}
"""Small networks for small devices, on a CPU. No paper has this search."""

PAPER_CIFAR10: dict[str, dict[str, Any]] = {
    "run": {"precision": "float32"},
    "space": {"cells": 8, "channels": 16},
    "schedule": {"snapshot_from": 35},
    "data": {"name": "cifar10", "validation": 0.0},
    "search": {"epochs": 120, "batch_size": 128, "lr": 5e-4, "augment": "autoaugment-pillow"},
    "retrain": {**DARTS_CIFAR, "channels": 36, "drop_path": 0.3, "drop_path_per_operation": 0.15 / 112},
}
"""The released CIFAR-10 scripts. A network as dense as those of DARTS is retrained with a drop_path of 0.3; denser ones
with 0.15 more for every 112 further operations.

The architectures that the authors name and evaluate are from the epochs 35 to 47 of at most 120, both regular snapshots
and stalls. So regular snapshots are taken from epoch 35 on, stalls at any time, and one at the end of the search,
whenever that is. Of all these, `select.networks` are retrained whose sizes are evenly spaced from the smallest to the
largest. Which of its snapshots the paper's tables show could not be read.
"""

PAPER_IMAGENET: dict[str, dict[str, Any]] = {
    "run": {"precision": "float32"},
    "space": {"cells": 14, "channels": 20, "stem": "imagenet"},
    "optimizer": {"alpha_lr": 0.2, "alpha_momentum": 0.9},
    "schedule": {
        "gamma_0": 1e-6,
        "gamma_max": 1e-3,
        "n_max": 5e-4,
        "t_max": 300,
        "tau": 0.99,
        "warm_up": 5,
        "snapshot_from": 20,
    },
    "data": {"name": "folder", "size": 224, "validation": 0.0},
    "search": {
        "epochs": 30,
        "batch_size": 256,
        "lr": 3e-4,
        "augment": "imagenet",
        "color_jitter": PC_DARTS_IMAGENET["color_jitter"],
    },
    "retrain": {**PC_DARTS_IMAGENET, "channels": 48},
}
"""The released ImageNet scripts: images of 224 pixels in folders.

The architectures that the authors name are from the epochs 22 and 24 of at most 30, hence the first regular snapshot
after epoch 20; the networks to retrain are selected as in `paper-cifar10`.
"""

SNPS = Method(
    name="snps",
    space="darts",
    optimizer="one-level",
    schedule="shrink",
    teacher="labels",
    options={
        "space": {"topology": "per-cell", "choices": "node", "operations": ["nadd3"], "auxiliary_head": "nadd"},
        "search": {
            "optimizer": "adam",
            "lr_schedule": "constant",
            "betas": [0.5, 0.999],
            "weight_decay": 3e-4,
            "clip": 5.0,
        },
    },
    presets={
        "tiny": TINY,
        "laptop": LAPTOP,
        "compact": COMPACT_SEARCH,
        "paper-cifar10": PAPER_CIFAR10,
        "paper-imagenet": PAPER_IMAGENET,
    },
    paper="paper-cifar10",
)
