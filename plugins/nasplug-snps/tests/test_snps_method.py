from __future__ import annotations

import pytest
from nasplug_snps.method import SNPS
from nasplug_snps.shrink import Shrink

from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.values import Training
from nasplug.values.options import build
from nasplug.values.recipe import DataOptions, Retraining, Selection


@pytest.mark.parametrize("preset", ["tiny", "laptop", "paper-cifar10"])
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "optimizer": OneLevel,
        "schedule": Shrink,
        "search": Training,
        "retrain": Retraining,
        "select": Selection,
        "data": DataOptions,
    }
    for name, kind in kinds.items():
        build(kind, {**SNPS.options.get(name, {}), **SNPS.presets[preset].get(name, {})}, name)
