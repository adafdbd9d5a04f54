from __future__ import annotations

import pytest
from nasplug_snps.method import SNPS
from nasplug_snps.shrink import Shrink

from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.values import Genotype
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions, SelectOptions


@pytest.mark.parametrize("preset", SNPS.presets)
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "optimizer": OneLevel,
        "schedule": Shrink,
        "search": SearchOptions,
        "retrain": RetrainOptions,
        "select": SelectOptions,
    }
    for name, kind in kinds.items():
        build(kind, {**SNPS.options.get(name, {}), **SNPS.presets[preset].get(name, {})}, name)


def test_networks_are_retrained_with_the_released_drop_path() -> None:
    retrain = build(RetrainOptions, SNPS.presets["paper-cifar10"]["retrain"], "retrain")
    for cells, kept in ((8, 3), (14, 2), (14, 4)):
        picks = tuple(f"sep_conv_3x3@{number}" for number in range(kept))
        genotype = Genotype("darts", {f"{cell}/{node}": picks for cell in range(cells) for node in range(2, 6)})
        released = 0.3 + (0.15 / 112) * (cells * 4 * kept - cells * 2 * 4)
        assert retrain.for_network(genotype).drop_path == pytest.approx(released)
