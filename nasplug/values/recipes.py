"""Published recipes for training a network from scratch, as options of the section "retrain": bases for presets.

Each is a plain mapping without the size of the network: presets add `cells`, and `channels` or `widths`.
"""

from __future__ import annotations

from typing import Any

Options = dict[str, Any]

BARE_SELECTION: Options = {"references": [], "measures": []}
"""Options of the section "select" for presets that show that a run works, not how good its networks are."""

DARTS_CIFAR: Options = {
    "epochs": 600,
    "batch_size": 96,
    "optimizer": "sgd",
    "lr": 0.025,
    "lr_schedule": "cosine",
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "clip": 5.0,
    "augment": "standard",
    "cutout": 16,
    "auxiliary": 0.4,
    "drop_path": 0.2,
}
"""Liu, Simonyan & Yang, DARTS, ICLR 2019, released code (cnn/train.py): CIFAR-10, 20 cells, 36 channels."""

COMPACT_SHORT: Options = {
    "epochs": 20,
    "batch_size": 128,
    "optimizer": "sgd",
    "nesterov": True,
    "lr": 0.4,
    "lr_schedule": "cosine",
    "lr_interval": "step",
    "lr_warmup": 1.0,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "augment": "standard",
}
"""Some 10^4 steps for networks of some 10^4 to 10^5 parameters on images like CIFAR-10's, on a CPU.

Chosen on the reference networks ResNet-8 and a plain stack of 20,000 parameters, by validation error after 10 epochs of
25,000 images: docs/reference/benchmarks.md has the figures.
"""

COMPACT: dict[str, Options] = {
    "space": {"part": "compact"},
    "data": {"name": "cifar10"},
    "retrain": {**COMPACT_SHORT},
    "select": {"networks": 1, "candidates": 16, "references": ["plain", "resnet8", "ds-cnn", "mobilenetv2"]},
}
"""Sections that the presets `compact` of all methods have in common: small networks for small devices, on a CPU.

One network for each budget, chosen by a tournament, beside one that the same tournament chooses from as many random
ones, and all the networks that engineers have designed for such devices.
"""

COMPACT_CIFAR: Options = {
    "epochs": 200,
    "batch_size": 128,
    "optimizer": "sgd",
    "lr": 0.1,
    "lr_schedule": "cosine",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "augment": "standard",
}
"""CIFAR-10 for networks of some 10^4 to 10^5 parameters, as ResNets are trained there (chosen here, no paper's).

They underfit rather than overfit, so nothing is cut out, dropped or smoothed.
"""

_IMAGENET: Options = {
    "epochs": 250,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 3e-5,
    "clip": 5.0,
    "augment": "imagenet",
    "color_jitter": [0.4, 0.4, 0.4, 0.2],
    "label_smoothing": 0.1,
    "auxiliary": 0.4,
}

DARTS_IMAGENET: Options = {
    **_IMAGENET,
    "batch_size": 128,
    "lr": 0.1,
    "lr_schedule": "step",
    "lr_decay": 0.97,
    "lr_decay_epochs": 1.0,
}
"""The same (cnn/train_imagenet.py): 224 pixels, 14 cells, 48 channels, no drop path."""

PC_DARTS_IMAGENET: Options = {
    **_IMAGENET,
    "batch_size": 512,
    "lr": 0.25,
    "lr_schedule": "linear-tail",
    "lr_warmup": 5.0,
}
"""Later practice with large batches, introduced by PC-DARTS and used in the code of SNPS and DNAD."""

NB201: Options = {
    "epochs": 200,
    "batch_size": 256,
    "optimizer": "sgd",
    "nesterov": True,
    "lr": 0.1,
    "lr_schedule": "cosine",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "clip": 0.0,
}
"""Dong & Yang, NAS-Bench-201, ICLR 2020: how every architecture of the benchmark was trained."""

EFFICIENTNET: Options = {
    "epochs": 500,
    "batch_size": 1024,
    "optimizer": "rmsprop",
    "lr": 0.064,
    "lr_schedule": "step",
    "lr_decay": 0.963,
    "lr_decay_epochs": 3.0,
    "lr_warmup": 5.0,
    "momentum": 0.9,
    "rho": 0.9,
    "eps": 1e-3,
    "weight_decay": 1e-4,
    "decay_norms": False,
    "clip": 0.0,
    "augment": "imagenet",
    "color_jitter": [0.06, 0.06, 0.06, 0.0],
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "drop_path": 0.2,
    "drop_path_ramp": False,
    "ema": 0.9998,
}
"""Li et al., DNA, CVPR 2020, released code (retraining/run_example.sh): EfficientNet's recipe, in batches of 8 * 128.

The paper itself gives batches of 4096 and the learning rate 0.256, multiplied by 0.97 every 2.4 epochs.
"""
