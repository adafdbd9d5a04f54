from __future__ import annotations

import statistics
from random import Random
from typing import cast

import attrs
import pytest
from torch import nn

from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers import random_search
from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.engine.plain.fixed import Fixed
from nasplug.errors import InputError
from nasplug.parts import CostMeasure, CostModel, SearchSpace, SearchState
from nasplug.parts.paths import sample_distinct
from nasplug.values import Costs, Found, Genotype, ImageShape, StepClock, Unit, Update


class Dice:
    """A space of `sides` architectures, as far as random search can see."""

    def __init__(self, sides: int) -> None:
        self.sides = sides

    def random(self, generator: Random) -> Genotype:
        return Genotype("dice", {"side": [str(generator.randrange(self.sides))]})


def search_state(space: SearchSpace, seed: int) -> SearchState:
    return SearchState(
        space, ImageShape(1, 8, 10), net=None, snapshots=(), images=lambda split, count: iter(()), seed=seed
    )


def sampled_genotypes(sides: int, samples: int, seed: int) -> list[Genotype]:
    space = cast("SearchSpace", Dice(sides))
    return [event.genotype for event in map(_found, RandomSearch(samples=samples).decide(search_state(space, seed)))]


def _found(event: object) -> Found:
    assert isinstance(event, Found)
    return event


def test_samples_are_distinct_and_seeded() -> None:
    genotypes = sampled_genotypes(10, 6, seed=1)
    assert len(set(genotypes)) == len(genotypes) == 6
    assert genotypes == sampled_genotypes(10, 6, seed=1)
    assert genotypes != sampled_genotypes(10, 6, seed=2)


def test_a_small_space_gives_what_it_holds() -> None:
    assert len(sampled_genotypes(3, 8, seed=0)) == 3


SPACE = NasBench201(operations=("skip_connect", "nor_conv_1x1", "nor_conv_3x3"), channels=2, cells=1)
SHAPE = ImageShape(1, 8, 4)


def within(budgets: list[dict[str, float]], samples: int, seed: int = 0, **changes: object) -> list[Genotype]:
    state = attrs.evolve(search_state(SPACE, seed), shape=SHAPE, cost_model=CostModel(SPACE, SHAPE), budgets=budgets)
    state = attrs.evolve(state, **changes)
    return [_found(event).genotype for event in RandomSearch(samples=samples).decide(state)]


def costs_of_all() -> list[Costs]:
    return [SPACE.cost(genotype, SHAPE) for genotype in SPACE.paths(None).enumerate()]


def test_without_a_budget_it_samples_as_it_always_did() -> None:
    expected = list(sample_distinct(SPACE.random, 5, Random(3)))
    assert within([], 5, seed=3) == expected


def test_under_a_budget_the_samples_are_those_within_it() -> None:
    median = statistics.median(costs.params for costs in costs_of_all())
    found = within([{"params": median}], 6, seed=1)
    unlimited = sample_distinct(SPACE.random, 40, Random(1))
    fitting = [genotype for genotype in unlimited if SPACE.cost(genotype, SHAPE).params <= median]
    assert found == fitting[:6]
    assert found == within([{"params": median}], 6, seed=1)
    assert found != within([{"params": median}], 6, seed=2)


def test_a_walk_finds_what_is_too_rare_to_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_search, "PATIENCE", 1)
    limit = sorted(costs.params for costs in costs_of_all())[6]
    assert sum(costs.params <= limit for costs in costs_of_all()) == 7  # of 729
    found = within([{"params": limit, "macs": 1e9}], 7)
    assert len(set(found)) == len(found) == 7
    assert all(SPACE.cost(genotype, SHAPE).params <= limit for genotype in found)


def test_several_budgets_get_their_samples_each() -> None:
    sizes = sorted(costs.params for costs in costs_of_all())
    small, large = sizes[len(sizes) // 50], sizes[len(sizes) // 2]
    found = within([{"params": small}, {"params": large}], 4)
    assert len(set(found)) == 8
    assert max(SPACE.cost(genotype, SHAPE).params for genotype in found[:4]) <= small
    assert max(SPACE.cost(genotype, SHAPE).params for genotype in found[4:]) <= large


def test_a_measure_that_needs_the_network_counts_too() -> None:
    class Layers(CostMeasure):
        unit = Unit(whole=True)

        def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
            return sum(isinstance(module, nn.Conv2d) for module in net.modules())

    model = CostModel(SPACE, SHAPE, {"layers": Layers()})
    fewest = min(model.costs(genotype)["layers"] for genotype in within([], 20))
    limits = {"layers": fewest, "params": statistics.median(costs.params for costs in costs_of_all())}
    found = within([limits], 4, cost_model=model)
    assert len(found) == 4
    assert all(model.is_within(genotype, limits) for genotype in found)


def test_a_budget_that_nothing_keeps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_search, "MUTATIONS", 100)
    least = min(costs.params for costs in costs_of_all())
    sentence = (
        rf"'nb201' was found that has at most 3 params: the nearest has {least:,} params\. Allow more with --budget"
    )
    with pytest.raises(InputError, match=sentence):
        within([{"params": 3}], 1)


def test_a_budget_that_few_architectures_keep_gives_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_search, "MUTATIONS", 100)
    least = min(costs.params for costs in costs_of_all())
    (only,) = within([{"params": least}], 2)
    assert SPACE.cost(only, SHAPE).params == least
    assert within([{"params": least}, {"params": least}], 2) == [only]


def test_it_trains_nothing() -> None:
    assert not RandomSearch().trains
    assert not RandomSearch().learns_alpha
    assert tuple(RandomSearch().updates(StepClock(1, 1).at(0))) == ()


def test_fixed_moves_the_weights_alone_and_finds_nothing() -> None:
    assert tuple(Fixed().updates(StepClock(1, 1).at(0))) == (Update("train", moves_weights=True, moves_alpha=False),)
    assert not Fixed().learns_alpha
    assert list(Fixed().decide(search_state(cast("SearchSpace", Dice(2)), 0))) == []
