from __future__ import annotations

import math
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from nasplug.builtin.darts.space import Darts
from nasplug.errors import InputError
from nasplug.runs.selection import check_limits, select
from nasplug.values import ImageShape
from nasplug.values.recipe import RetrainOptions, SelectOptions
from nasplug.values.seeds import derive_seed

SHAPE = ImageShape(channels=1, size=8, classes=10)


def _study(space, retrain=None, **selection):
    recipe = SimpleNamespace(select=SelectOptions(**selection), retrain=retrain or RetrainOptions())
    return SimpleNamespace(
        composition=SimpleNamespace(space=space),
        recipe=recipe,
        shape=SHAPE,
        folder=SimpleNamespace(path=Path("RUN")),
        random=lambda *words: Random(derive_seed(*words)),
    )


@pytest.fixture(scope="module")
def space():
    return Darts(operations=("nadd3",), topology="per-cell", choices="node", cells=3, channels=4)


@pytest.fixture(scope="module")
def trail(space):
    generator = Random(0)
    return [space.random(generator) for _ in range(12)]


def test_sizes_are_spread_evenly_from_the_sparsest_to_the_densest(space, trail):
    plans = select(_study(space, networks=4, random=0), trail)
    costs = sorted(space.cost(genotype, SHAPE).params for genotype in trail)
    chosen = [plan.costs.params for plan in plans]

    assert (chosen[0], chosen[-1]) == (costs[0], costs[-1])
    for place, params in enumerate(chosen):
        target = math.log(costs[0]) + (math.log(costs[-1]) - math.log(costs[0])) * place / 3
        left = [each for each in costs if each not in chosen[:place]]
        assert abs(math.log(params) - target) == min(abs(math.log(each) - target) for each in left)


def test_of_equal_sizes_the_later_is_taken(space, trail):
    twin = trail[0]
    doubled = [twin, *trail[1:3], twin]

    assert len(select(_study(space, networks=9, random=0), doubled)) == 3


def test_random_networks_match_within_the_tolerance_and_differ(space, trail):
    plans = select(_study(space, networks=3, random=2, tolerance=0.05), trail)
    found = {plan.id: plan for plan in plans if plan.role == "found"}
    matched = [plan for plan in plans if plan.role == "random"]

    assert len(found) == 3
    assert len(matched) == 6
    assert len({plan.genotype for plan in plans}) == 9
    for plan in matched:
        target = found[plan.matched_to].costs.params
        assert abs(plan.costs.params - target) <= 0.05 * target


def test_a_single_genotype_is_trained_at_every_width(space, trail):
    plans = select(_study(space, RetrainOptions(widths=(4, 6, 8)), networks=3, random=0), trail[:1])

    assert [plan.size["channels"] for plan in plans] == [4, 6, 8]


@pytest.mark.parametrize("limit", ["max_params", "max_macs"])
def test_limits_that_no_architecture_keeps_are_refused_before_the_search(space, trail, limit):
    with pytest.raises(InputError, match=r"at most 10 (params|MACs): the smallest known has \d+ params and \d+ MACs"):
        check_limits(_study(space, **{limit: 10}))
    costs = [space.cost(genotype, SHAPE) for genotype in trail]
    sizes = [cost.params if limit == "max_params" else cost.macs for cost in costs]
    check_limits(_study(space, **{limit: min(sizes)}))
    check_limits(_study(space))


def test_limits_hold_and_the_refusal_names_the_smallest(space, trail):
    costs = sorted(space.cost(genotype, SHAPE).params for genotype in trail)
    plans = select(_study(space, networks=4, random=0, max_params=costs[5]), trail)
    assert max(plan.costs.params for plan in plans) <= costs[5]

    with pytest.raises(InputError, match=f"the smallest has {costs[0]} params"):
        select(_study(space, max_params=costs[0] - 1), trail)
