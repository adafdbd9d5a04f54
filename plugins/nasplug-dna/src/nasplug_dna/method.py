"""DNA: block-wisely supervised neural architecture search with knowledge distillation (Li et al., CVPR 2020)."""

from __future__ import annotations

from typing import Any

from nasplug.values import Method
from nasplug.values.recipes import BARE_SELECTION, COMPACT, COMPACT_CIFAR, EFFICIENTNET

Preset = dict[str, dict[str, Any]]

TINY: Preset = {
    "space": {"blocks": ["s1 1x16", "s2 2x24", "s2 1x40"], "kernels": [3, 5], "channels": 16},
    "teacher": {"epochs": 2},
    "search": {"epochs": 2, "batch_size": 32, "lr": 2e-2},
    "retrain": {"epochs": 2, "batch_size": 64, "optimizer": "adam", "lr": 1e-2},
    "select": {**BARE_SELECTION, "networks": 2},
}
"""A whole run in about half a minute on a CPU: for tests and a first look, not for good networks."""

LAPTOP: Preset = {
    "space": {"blocks": ["small"], "channels": 16},
    "teacher": {"epochs": 15},
    "search": {"epochs": 40, "batch_size": 32, "lr": 2e-2, "lr_decay": 0.95},
    "retrain": {"epochs": 15, "batch_size": 64, "optimizer": "sgd", "lr": 0.1},
    "select": {"networks": 4},
}
"""Small images on a CPU. A block is trained for some thousand steps instead of 50,000, at a higher learning rate."""

CIFAR10: Preset = {
    "space": {"blocks": ["s1 2x24 3x24 2x32", "s2 2x40 3x40 4x40", "s2 2x80 3x80 4x80"]},
    "data": {"name": "cifar10"},
    "teacher": {"epochs": 100},
    "search": {"epochs": 20, "batch_size": 256, "lr": 5e-3},
    "retrain": {
        "epochs": 200,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.1,
        "weight_decay": 5e-4,
        "cutout": 16,
        "drop_path": 0.2,
        "label_smoothing": 0.1,
    },
    "select": {"networks": 8},
}
"""DNA scaled down to CIFAR-10. The paper has no such search: blocks, teacher and all lengths are inferred here."""

COMPACT_SEARCH: Preset = {
    **COMPACT,
    "selector": {"limit": 1000},
    "teacher": {"epochs": 20},
    "search": {"epochs": 10, "batch_size": 128, "lr": 5e-3},
}
"""Small networks for small devices, on a CPU. No paper has this search."""

COMPACT_CIFAR10: Preset = {
    "space": {"part": "compact", "operations": ["all"]},
    "data": {"name": "cifar10"},
    "teacher": {"epochs": 60},
    "search": {"epochs": 20, "batch_size": 256, "lr": 5e-3},
    "retrain": {**COMPACT_CIFAR},
    "select": {"networks": 8},
}
"""Small networks for small devices on CIFAR-10, of some 10^4 to 10^5 parameters. No paper has this search."""

PAPER_IMAGENET: Preset = {
    "run": {"precision": "float32"},
    "space": {"blocks": ["dna"], "stem": "imagenet", "match": "doubled"},
    "data": {"name": "folder", "size": 224, "validation": 0.0},
    "selector": {"share": 0.04, "images": 4096, "limit": 20_000},
    "teacher": {"model": "tf_efficientnet_b7", "rates": [0.4, 1.0, 1.0, 1.0, 1.0, 0.4], "epochs_per": "cell"},
    "search": {
        "epochs": 20,
        "batch_size": 512,
        "lr": 5e-3,
        "augment": "imagenet",
        "color_jitter": [0.4, 0.4, 0.4, 0.0],
        "random_erasing": 0.5,
    },
    "retrain": {**EFFICIENTNET},
    "select": {"networks": 4},
}
"""The released code, on images of 224 pixels in folders; `teacher.weights` has to name a file.

The blocks are those of the paper's table, from memory; the released supernet has one cell for each block
("dna-single"), which is trained for 20 epochs. So here each cell is: a step trains one of its block's. All paths are
rated, on a share of the training images that amounts to 50 per class of ImageNet; how many of them are used is
inferred.
"""

DNA = Method(
    name="dna",
    space="mbconv",
    optimizer="single-path",
    schedule="keep",
    teacher="blockwise",
    selector="rating",
    options={
        "teacher": {"teacher_mode": "measured"},
        "search": {
            "optimizer": "adam",
            "lr_schedule": "step",
            "lr_decay": 0.9,
            "lr_decay_epochs": 1.0,
            "weight_decay": 1e-4,
            "decay_norms": False,
            "clip": 0.0,
        },
    },
    presets={
        "tiny": TINY,
        "laptop": LAPTOP,
        "cifar10": CIFAR10,
        "compact": COMPACT_SEARCH,
        "compact-cifar10": COMPACT_CIFAR10,
        "paper-imagenet": PAPER_IMAGENET,
    },
    paper="paper-imagenet",
)
