"""DNAD: differentiable neural architecture distillation (Rao et al., arXiv 2504.20080). It is SNPS with a teacher."""

from __future__ import annotations

from typing import Any

import attrs
from nasplug_snps.method import SNPS

from nasplug.values import Method

TEACHER: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 2},
    "laptop": {"epochs": 15},
    "paper-cifar10": {"channel_factor": 2.25, "epochs": 200},
    "paper-imagenet": {"channel_factor": 2.4, "ratios": [1.0, 1.0, 1.0]},
}
"""What each preset adds. The released teacher for CIFAR-10 has 36 channels, where the supernet has 16.

For ImageNet it is a trained EfficientNet-B0; here a network of the space, as wide as those that are retrained, takes
its place. It is trained first, for as long as they are, unless one is given with --teacher-from.
"""

DNAD: Method = attrs.evolve(
    SNPS,
    name="dnad",
    teacher="features",
    presets={name: {**preset, "teacher": TEACHER[name]} for name, preset in SNPS.presets.items()},
)
