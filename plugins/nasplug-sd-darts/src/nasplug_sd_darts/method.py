"""SD-DARTS: DARTS that learns from its past (Zhu et al., arXiv 2302.05629). It is DARTS with a teacher."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS

TEACHER: dict[str, dict[str, Any]] = {
    "paper-cifar10": {"pace": "paper"},
    "paper-imagenet": {"interval": 390, "interval_unit": "step"},
    "paper-nb201": {"pace": "paper"},
}
"""What each preset adds. The teacher's constants are inferred, for the paper's could not be read.

Two epochs of ImageNet are as many steps as 50 of CIFAR-10, of 390 steps each.
"""

SD_DARTS: Method = attrs.evolve(
    DARTS,
    name="sd-darts",
    teacher="voting",
    presets={name: {**preset, "teacher": TEACHER.get(name, {})} for name, preset in DARTS.presets.items()},
)
