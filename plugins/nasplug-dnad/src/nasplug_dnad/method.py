"""DNAD: differentiable neural architecture distillation (Rao et al., arXiv 2504.20080). It is SNPS with a teacher."""

from __future__ import annotations

from typing import Any

import attrs
from nasplug_snps.method import SNPS

from nasplug.values import Method

TEACHER: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 2},
    "laptop": {"epochs": 15},
    "compact": {"epochs": 20},
    "paper-cifar10": {
        "channel_factor": 2.25,
        "epochs": 200,
        "lr": 0.05,
        "augment": "autoaugment-pillow",
        "cutout": 0,
        "drop_path": 0.2,
        "drop_path_per_operation": 0.0,
    },
    "paper-imagenet": {"channel_factor": 2.4, "ratios": [1.0, 1.0, 1.0]},
}
"""Options of the teacher, by preset.

The released teacher for CIFAR-10 has 36 channels, where the supernet has 16, and is trained by the recipe of the
released fast evaluation: 200 epochs with AutoAugment and without cutout; paths are dropped with a probability of up to
0.2, however dense the network is. All else is as in a retraining.

The released teacher for ImageNet is a trained EfficientNet-B0. Here it is a network of the space, as wide as the
networks that are retrained and trained for as long, unless --teacher-from names another one.
"""

DNAD: Method = attrs.evolve(
    SNPS,
    name="dnad",
    teacher="features",
    presets={name: {**preset, "teacher": TEACHER[name]} for name, preset in SNPS.presets.items()},
)
