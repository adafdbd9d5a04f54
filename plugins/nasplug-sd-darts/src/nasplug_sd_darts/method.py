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
"""Options of the teacher, by preset. They are inferred, because the paper's constants could not be read.

390 steps are an epoch of CIFAR-10; 50 of these are as many steps as two epochs of ImageNet.
"""

SD_DARTS: Method = attrs.evolve(
    DARTS,
    name="sd-darts",
    teacher="voting",
    presets={name: {**preset, "teacher": TEACHER.get(name, {})} for name, preset in DARTS.presets.items()},
)
