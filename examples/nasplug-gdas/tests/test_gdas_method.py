from __future__ import annotations

import pytest
from nasplug_gdas.method import GDAS
from nasplug_gdas.optimizer import Gdas

from nasplug.plugins import load_plugins
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions


@pytest.mark.parametrize("preset", GDAS.presets)
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    plugins = load_plugins()
    kinds: dict[str, type] = {
        "space": plugins.resolve(plugins.find("space", GDAS.space)),
        "optimizer": plugins.resolve(plugins.find("optimizer", GDAS.optimizer)),
        "search": SearchOptions,
        "retrain": RetrainOptions,
    }
    for name, kind in kinds.items():
        build(kind, {**GDAS.options.get(name, {}), **GDAS.presets[preset].get(name, {})}, name)


def test_the_paper_preset_holds_the_released_constants() -> None:
    paper = GDAS.presets[GDAS.paper]
    search = build(SearchOptions, {**GDAS.options["search"], **paper["search"]}, "search")
    assert (search.epochs, search.batch_size, search.lr, search.lr_min) == (250, 256, 0.025, 0.001)
    optimizer = Gdas(**paper.get("optimizer", {}))
    assert (optimizer.temperature_start, optimizer.temperature_end) == (10.0, 0.1)
    assert (optimizer.alpha_lr, optimizer.alpha_betas, optimizer.alpha_weight_decay) == (3e-4, (0.5, 0.999), 1e-3)
