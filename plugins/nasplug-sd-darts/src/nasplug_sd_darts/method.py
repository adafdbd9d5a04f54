"""SD-DARTS: DARTS that learns from its past (Zhu et al., arXiv 2302.05629). It is DARTS with a teacher."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS

PRESETS = {
    "tiny": DARTS.presets["tiny"],
    "laptop": DARTS.presets["laptop"],
    "compact": DARTS.presets["compact"],
    "paper-cifar10": DARTS.presets["paper-cifar10-first"],
    "paper-imagenet": DARTS.presets["paper-imagenet"],
    "paper-nb201": DARTS.presets["paper-nb201"],
}
"""The search of each preset is that of DARTS in first order; which order the paper of SD-DARTS takes could not be read.

First order is the default of DARTS's code, which the first author's other variant of DARTS (OPP-DARTS) leaves as it is.
"""

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
    presets={name: {**preset, "teacher": TEACHER.get(name, {})} for name, preset in PRESETS.items()},
)
