from __future__ import annotations

import pytest
from nasplug_pcdarts.method import PC_DARTS
from nasplug_pcdarts.space import PCDarts

from nasplug.optimizers import Bilevel
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions


@pytest.mark.parametrize("preset", PC_DARTS.presets)
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "space": PCDarts,
        "optimizer": Bilevel,
        "search": SearchOptions,
        "retrain": RetrainOptions,
    }
    for name, kind in kinds.items():
        build(kind, {**PC_DARTS.options.get(name, {}), **PC_DARTS.presets[preset].get(name, {})}, name)


def test_the_paper_preset_holds_the_published_constants() -> None:
    paper = PC_DARTS.presets[PC_DARTS.paper]
    search = build(SearchOptions, {**PC_DARTS.options["search"], **paper["search"]}, "search")
    assert (search.epochs, search.batch_size, search.lr, search.lr_min) == (50, 256, 0.1, 0.0)
    optimizer = build(Bilevel, {**PC_DARTS.options["optimizer"], **paper["optimizer"]}, "optimizer")
    assert (optimizer.alpha_lr, optimizer.alpha_betas, optimizer.alpha_weight_decay) == (6e-4, (0.5, 0.999), 1e-3)
    assert (paper["space"]["partial"], optimizer.warm_up) == (4, 15)
