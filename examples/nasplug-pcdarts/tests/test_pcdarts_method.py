from __future__ import annotations

import pytest
from nasplug_pcdarts.method import PC_DARTS
from nasplug_pcdarts.optimizer import DelayedBilevel
from nasplug_pcdarts.space import PCDarts

from nasplug.values import StepClock
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions


@pytest.mark.parametrize(
    ("delay", "epochs", "first"), [(0.3, 50, 15), (0.3, 3, 1), (0.3, 1, 0), (0.9, 3, 2), (0.0, 4, 0), (0.1, 30, 3)]
)
def test_alpha_learns_from_an_epoch_on(delay: float, epochs: int, first: int) -> None:
    optimizer = DelayedBilevel(alpha_delay=delay)
    for now in StepClock(steps_per_epoch=2, epochs=epochs).since(0):
        updates = optimizer.updates(now)
        assert [update.moves_alpha for update in updates] == ([True, False] if now.epoch >= first else [False])
        assert all(update.split in optimizer.splits() for update in updates)


def test_steps_with_and_without_alpha_are_no_one_graph() -> None:
    clock = StepClock(steps_per_epoch=2, epochs=10)

    assert [DelayedBilevel().graph_key(clock.at(step)) for step in (5, 6)] == [True, False]


@pytest.mark.parametrize("preset", PC_DARTS.presets)
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "space": PCDarts,
        "optimizer": DelayedBilevel,
        "search": SearchOptions,
        "retrain": RetrainOptions,
    }
    for name, kind in kinds.items():
        build(kind, {**PC_DARTS.options.get(name, {}), **PC_DARTS.presets[preset].get(name, {})}, name)


def test_the_paper_preset_holds_the_published_constants() -> None:
    paper = PC_DARTS.presets[PC_DARTS.paper]
    search = build(SearchOptions, {**PC_DARTS.options["search"], **paper["search"]}, "search")
    assert (search.epochs, search.batch_size, search.lr, search.lr_min) == (50, 256, 0.1, 0.0)
    optimizer = build(DelayedBilevel, {**PC_DARTS.options["optimizer"], **paper["optimizer"]}, "optimizer")
    assert (optimizer.alpha_lr, optimizer.alpha_betas, optimizer.alpha_weight_decay) == (6e-4, (0.5, 0.999), 1e-3)
    assert (paper["space"]["partial"], optimizer.alpha_delay * search.epochs) == (4, 15)
