"""The recipe, and a search by it that is stopped in each of its supernets."""

from __future__ import annotations

import pytest
import torch
from nasplug_pdarts.few_skips import FewSkips
from nasplug_pdarts.method import P_DARTS
from nasplug_pdarts.progressive import Progressive

from nasplug.plugins import load_plugins
from nasplug.testing.companion_parts import Parts
from nasplug.testing.tiny_search import TinySearch, begin, prepare
from nasplug.values import Training
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions


@pytest.mark.parametrize("preset", P_DARTS.presets)
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    plugins = load_plugins()
    kinds: dict[str, type] = {
        **{
            slot: plugins.resolve(plugins.find(slot, getattr(P_DARTS, slot)))
            for slot in ("space", "optimizer", "schedule")
        },
        "search": SearchOptions,
        "retrain": RetrainOptions,
    }
    options = {
        name: build(kind, {**P_DARTS.options.get(name, {}), **P_DARTS.presets[preset].get(name, {})}, name)
        for name, kind in kinds.items()
    }
    options["optimizer"].check(options["space"], options["search"])
    assert options["optimizer"].warm_up == options["schedule"].warm_up
    assert [options["space"].cells, *options["schedule"].cells] == sorted(
        {options["space"].cells, *options["schedule"].cells}
    )


def test_the_paper_preset_holds_the_papers_constants() -> None:
    paper = P_DARTS.presets[P_DARTS.paper]
    search = build(SearchOptions, {**P_DARTS.options["search"], **paper["search"]}, "search")
    assert (search.epochs, search.batch_size, search.lr, search.lr_min) == (25, 96, 0.025, 0.0)
    schedule = build(Progressive, paper["schedule"], "schedule")
    assert (paper["space"]["cells"], *schedule.cells) == (5, 11, 17)
    assert (schedule.keep, schedule.dropout, schedule.decay) == ((5, 3), (0.0, 0.4, 0.7), 0.2)
    assert (schedule.warm_up, paper["optimizer"]["warm_up"], FewSkips().most) == (10, 10, 2)


def parts() -> Parts:
    plugins = load_plugins()

    def part(slot: str, name: str, **options):
        return plugins.resolve(plugins.find(slot, name))(**options)

    return Parts(
        space=part("space", "darts", operations=("none", "skip_connect", "max_pool_3x3"), cells=3, channels=2, nodes=2),
        optimizer=part("optimizer", "bilevel", alpha_lr=0.1, warm_up=1),
        schedule=Progressive(cells=(4, 5), keep=(2, 2), dropout=(0.0, 0.4, 0.7), warm_up=1),
        teacher=part("teacher", "labels"),
        selector=FewSkips(most=1),
        training=Training(epochs=2, batch_size=8, lr=0.1, augment="none"),
    )


def records(search: TinySearch) -> list[str]:
    search.train()
    search.decided = search.decide()
    return search.records()


@pytest.fixture(scope="module")
def whole() -> tuple[list[str], dict[str, torch.Tensor]]:
    search = begin(parts(), seed=0)
    return records(search), search.state()


@pytest.mark.parametrize("stage", range(3))
def test_a_search_that_is_stopped_in_any_stage_ends_bit_by_bit_alike(stage, whole, tmp_path) -> None:
    expected, state = whole
    stopped = begin(parts(), seed=0)
    assert stopped.trainer is not None
    length = stopped.trainer.steps // 3
    stopped.train(stage * length + length // 2)
    assert stopped.trainer.stage == stage
    stopped.save(tmp_path / "checkpoint.safetensors")
    again = prepare(parts(), seed=0, weights=1)
    again.load(tmp_path / "checkpoint.safetensors")
    again.steps = list(stopped.steps)
    assert records(again) == expected
    assert again.state().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in again.state().items())
