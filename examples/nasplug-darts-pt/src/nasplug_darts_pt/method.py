"""DARTS-PT as a recipe (Wang et al., ICLR 2021): DARTS with another selection at its end."""

from __future__ import annotations

import attrs

from nasplug.values import Method
from nasplug.values.darts import DARTS

TUNED = {"tiny": 1, "laptop": 2}
"""Epochs after each decision, where the paper's 5 would take longer than the search itself."""

DARTS_PT: Method = attrs.evolve(
    DARTS,
    name="darts-pt",
    selector="perturbation",
    presets={
        name: {**preset, "selector": {"epochs": TUNED[name]}} if name in TUNED else preset
        for name, preset in DARTS.presets.items()
    },
)
