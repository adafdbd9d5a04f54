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
}
"""What each preset adds. The released teacher for CIFAR-10 has 36 channels, where the supernet has 16."""

DNAD: Method = attrs.evolve(
    SNPS,
    name="dnad",
    teacher="features",
    presets={name: {**preset, "teacher": TEACHER[name]} for name, preset in SNPS.presets.items()},
)
