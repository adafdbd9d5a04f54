from __future__ import annotations

import math
from pathlib import Path
from random import Random
from types import SimpleNamespace

import attrs
import pytest

from nasplug.builtin.compact.space import Compact
from nasplug.builtin.costs.counted import Macs, Params
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.compose import build_reference
from nasplug.errors import InputError
from nasplug.parts import CostMeasure, CostModel
from nasplug.plugins import load_plugins
from nasplug.runs.budget_check import limits_of_search, refuse_impossible, smallest_model
from nasplug.runs.scaling import GenotypeSizes, fit, largest_number
from nasplug.runs.selection import select as run_selection
from nasplug.runs.summary import _changed_notes
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype, ImageShape, Unit, share_of
from nasplug.values.recipe import BudgetOptions, RetrainOptions, RunOptions, SelectOptions
from nasplug.values.seeds import derive_seed

pytestmark = pytest.mark.slow

SHAPE = ImageShape(channels=1, size=8, classes=10)


def _study(space, retrain=None, budget=None, measures=None, best_first=False, **selection):
    limits = {name: tuple(values) if isinstance(values, list) else (values,) for name, values in (budget or {}).items()}
    recipe = SimpleNamespace(
        select=SelectOptions(**{"references": (), "measures": ()} | selection),
        retrain=retrain or RetrainOptions(),
        budget=BudgetOptions(limits),
        run=RunOptions(),
    )
    costs, plugins = measures or {}, load_plugins()
    references = {name: build_reference(plugins, name) for name in recipe.select.references}
    return SimpleNamespace(
        composition=SimpleNamespace(
            space=space, costs=costs, references=references, selector=SimpleNamespace(best_first=best_first)
        ),
        plugins=plugins,
        recipe=recipe,
        shape=SHAPE,
        folder=RunFolder(Path("RUN")),
        random=lambda *words: Random(derive_seed(*words)),
        cost_model=lambda sized: CostModel(sized, SHAPE, costs),
    )


def select(context, trail):
    """The plans that a selection ends with."""
    steps = run_selection(context, trail, lambda: False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


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


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("limit", ["params", "macs"])
def test_budgets_that_no_architecture_keeps_are_refused_before_the_search(space, trail, limit, scale):
    with pytest.raises(InputError, match=rf"at most 10 {limit}: the smallest known has [\d,]+ params and [\d,]+ macs"):
        refuse_impossible(_study(space, budget={limit: 10}, scale=scale))
    least = min(space.cost(genotype, SHAPE)[limit] for genotype in trail)
    refuse_impossible(_study(space, budget={limit: least}, scale=scale))
    refuse_impossible(_study(space, scale=scale))


def test_a_budget_below_the_size_of_the_search_is_refused_only_where_networks_keep_their_size(space, trail):
    least = min(space.cost(genotype, SHAPE).params for genotype in trail) // 3
    refuse_impossible(_study(space, budget={"params": least}))
    with pytest.raises(InputError, match=r"lower retrain.channels, or set select.scale=true"):
        refuse_impossible(_study(space, budget={"params": least}, scale=False))
    assert limits_of_search(_study(space, budget={"params": least})) == ()
    assert limits_of_search(_study(space, budget={"params": 10**9})) == [{"params": 10**9}]
    assert limits_of_search(_study(space, budget={"params": 9}, scale=False)) == [{"params": 9}]


def test_the_best_are_selected_where_the_selector_ranks_them(space, trail):
    def found(**options: object) -> list[Genotype]:
        return [plan.genotype for plan in select(_study(space, best_first=True, random=0, **options), trail)]

    assert found(networks=4) == trail[:4]
    assert found(networks=20) == trail
    costs = [space.cost(genotype, SHAPE).params for genotype in trail]
    limit = sorted(costs)[5]
    fitting = [genotype for genotype, params in zip(trail, costs, strict=True) if params <= limit]
    assert found(networks=3, budget={"params": limit}, scale=False) == fitting[:3] != trail[:3]
    scaled = select(_study(space, best_first=True, random=0, networks=4, budget={"params": 40_000}), trail)
    assert [plan.genotype for plan in scaled] == trail[:4]
    assert all(5_000 < plan.costs.params <= 40_000 for plan in scaled)


def test_without_scaling_limits_hold_and_the_refusal_names_the_smallest(space, trail):
    costs = sorted(space.cost(genotype, SHAPE).params for genotype in trail)
    plans = select(_study(space, networks=4, random=1, budget={"params": costs[5]}, scale=False), trail)
    assert len(plans) == 8
    assert max(plan.costs.params for plan in plans) <= costs[5]
    assert {plan.size["channels"] for plan in plans} == {4}

    with pytest.raises(InputError, match=f"the smallest has {costs[0]:,} params"):
        select(_study(space, budget={"params": costs[0] - 1}, scale=False), trail)


def test_with_scaling_the_refusal_names_the_smallest_at_the_smallest_size_that_networks_get(space, trail):
    study = _study(space, budget={"params": 100})
    smallest = smallest_model(study, {"params": 100})
    least = min(smallest.costs(genotype, ()).params for genotype in trail)
    assert least < min(space.cost(genotype, SHAPE).params for genotype in trail)
    with pytest.raises(InputError, match=rf"the smallest has {least:,} params .* at .*'channels': 2"):
        select(study, trail)


def test_where_all_cost_too_much_at_their_smallest_the_smallest_is_changed_until_it_fits(space, trail):
    smallest = smallest_model(_study(space, budget={"params": 1}), {"params": 1})
    costs = {genotype: smallest.costs(genotype, ()) for genotype in trail}
    least = min(costs.values(), key=lambda each: each.params)
    for budget in ({"params": least.params - 1}, {"params": 10**6, "macs": min(c.macs for c in costs.values()) // 2}):
        study = _study(space, networks=3, random=0, budget=budget)
        (found,) = select(study, trail)
        assert (found.role, found.changed) == ("found", True)
        assert found.genotype not in trail
        for name, limit in budget.items():
            assert found.costs[name] <= limit
        assert PlannedNetwork.from_dict(found.to_dict()) == found
        assert select(study, trail)[0] == found
        (note,) = _changed_notes(study, [found])
        assert f"{found.id} is the smallest of them, changed" in note
        assert f"{budget['params']:,} params" in note


def test_where_one_fits_at_its_smallest_none_is_changed(space, trail):
    smallest = smallest_model(_study(space, budget={"params": 1}), {"params": 1})
    least = min(smallest.costs(genotype, ()).params for genotype in trail)
    plans = select(_study(space, networks=3, random=0, budget={"params": least}), trail)
    assert [plan.changed for plan in plans] == [False]
    assert plans[0].costs.params == least


def test_networks_are_scaled_to_the_largest_width_within_the_budget(space, trail):
    budget = {"params": 9000, "macs": 400_000}
    plans = select(_study(space, networks=3, random=2, budget=budget), trail)

    assert [plan.role for plan in plans] == ["found"] * 3 + ["random"] * 6
    for plan in plans:
        assert plan.budget == budget
        assert plan.costs.params <= 9000
        assert plan.costs.macs <= 400_000
        wider = space.scaled(channels=plan.size["channels"] + 1).cost(plan.genotype, SHAPE)
        assert wider.params > 9000 or wider.macs > 400_000
        assert plan.costs == space.scaled(channels=plan.size["channels"]).cost(plan.genotype, SHAPE)
    found = {plan.id: share_of(plan.costs, budget) for plan in plans if plan.role == "found"}
    for plan in plans[3:]:
        assert abs(share_of(plan.costs, budget) - found[plan.matched_to]) <= 0.25


def test_references_take_as_much_of_a_budget_as_their_widths_allow_or_as_the_largest_found_has(space, trail):
    budget = {"params": 9000, "macs": 10**6}
    plans = select(_study(space, networks=1, random=0, budget=budget, references=("plain", "resnet8")), trail)
    free = select(_study(space, networks=2, random=0, references=("plain",)), trail)

    assert [(plan.role, plan.reference) for plan in plans[1:]] == [("reference", "plain"), ("reference", "resnet8")]
    for plan in plans[1:]:
        reference = build_reference(load_plugins(), plan.reference)
        widths = list(reference.widths())
        assert plan.budget == budget
        assert share_of(plan.costs, budget) <= 1
        wider = reference.scaled(widths[widths.index(plan.size["width"]) + 1]).network(SHAPE)
        costs = {name: cls().cost(wider.eval(), (1, 8, 8)) for name, cls in (("params", Params), ("macs", Macs))}
        assert share_of(costs, budget) > 1
    largest = max(plan.costs.params for plan in free[:2])
    assert 0.9 * largest < free[2].costs.params <= largest
    assert free[2].budget == {}


def test_several_budgets_give_networks_within_each(space, trail):
    plans = select(_study(space, networks=1, random=1, budget={"params": [4000, 12_000], "macs": 10**7}), trail)

    assert [plan.budget["params"] for plan in plans] == [4000, 4000, 12_000, 12_000]
    assert [2000 < plan.costs.params <= 4000 for plan in plans] == [True, True, False, False]
    assert all(8000 < plan.costs.params <= 12_000 for plan in plans[2:])


def test_cells_of_one_type_are_also_made_deeper_and_less_deep():
    space = Darts(topology="per-type", cells=3, channels=4)
    genotype = space.random(Random(0))
    model = CostModel(space, SHAPE)
    for limit in (10_000, 20_000, 40_000):
        sizes = {
            (channels, cells): space.scaled(channels=channels, cells=cells).cost(genotype, SHAPE).params
            for cells in (3, 4, 5)
            for channels in range(2, 40)
        }
        sized = GenotypeSizes(model, genotype).largest_within({"params": limit})
        assert sized.costs.params == max(params for params in sizes.values() if params <= limit)
        assert sizes[sized.size["channels"], sized.size["cells"]] == sized.costs.params
    least = space.scaled(channels=2, cells=3).cost(genotype, SHAPE).params
    flat = GenotypeSizes(CostModel(space, SHAPE), genotype).largest_within({"params": least - 1})
    assert flat.size["cells"] < 3
    assert GenotypeSizes(CostModel(space, SHAPE), genotype).largest_within({"params": 1}) is None


@pytest.mark.parametrize("space", [Compact(), MBConvSpace()], ids=["compact", "mbconv"])
@pytest.mark.parametrize("limit", [5_000, 12_000, 30_000])
def test_widths_between_whole_channels_use_a_budget_up(space, limit):
    genotype = space.random(Random(1))
    sizes = {
        attrs.evolve(space, channels=channels, sixteenths=number).cost(genotype, SHAPE).params: (channels, number)
        for channels in range(2, 40)
        for number in range(16)
    }
    sized = GenotypeSizes(CostModel(space, SHAPE), genotype).largest_within({"params": limit})

    assert sized.costs.params == max(params for params in sizes if params <= limit)
    assert sized.costs.params > 0.8 * limit
    assert sum(parameter.numel() for parameter in sized.build().parameters()) == sized.costs.params
    rebuilt = attrs.evolve(space, **sized.size)
    assert rebuilt.cost(genotype, SHAPE) == sized.costs
    assert rebuilt.scaled(channels=space.channels) == space


@attrs.frozen
class Estimated(CostMeasure):
    """Its layers cost nothing that is known beforehand: the estimate is the params, the network costs `factor` more."""

    factor: float = 1.0
    measured = True
    unit = Unit("s", prefix="m")

    def cost(self, net, shape):
        return self.factor * sum(parameter.numel() for parameter in net.parameters())


@attrs.frozen(eq=False)
class Guessed(CostModel):
    def _cost(self, name, genotype):
        return float(self.space.cost(genotype, self.shape).params)

    def resized(self, space):
        return Guessed(space, self.shape, self.measures)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6])
def test_what_is_measured_keeps_the_budget_whatever_was_estimated(space, trail, factor):
    measures = {"time": Estimated(factor)}
    network = fit(GenotypeSizes(Guessed(space, SHAPE, measures), trail[0]), {"time": 40_000.0}, measures, SHAPE)

    assert network.costs["time"] <= 40_000
    assert network.costs["time"] == factor * network.costs.params
    wider = space.scaled(channels=network.sized.size["channels"] + 2).cost(trail[0], SHAPE)
    assert factor * wider.params > 40_000


@attrs.frozen
class Misjudged(CostMeasure):
    """Costs 1 for one number of params, and 9 for all others."""

    cheap: int = 0

    def cost(self, net, shape):
        return 1.0 if sum(parameter.numel() for parameter in net.parameters()) == self.cheap else 9.0


@attrs.frozen(eq=False)
class Hopeful(CostModel):
    """Takes every network for cheap."""

    def _learn(self, names, genotype):
        self._known.update({(name, genotype): 0.0 for name in names})


@pytest.mark.parametrize("place", range(0, 12, 3))
def test_unscaled_networks_that_cost_more_than_was_estimated_are_replaced_by_others(space, trail, place):
    cheap = trail[place]
    measures = {"time": Misjudged(space.cost(cheap, SHAPE).params)}
    context = _study(space, budget={"time": 2.0}, measures=measures, networks=2, random=0, scale=False)
    context.cost_model = lambda sized: Hopeful(sized, SHAPE, measures)
    plans = select(context, trail)
    assert plans
    assert all(plan.costs.params == measures["time"].cheap for plan in plans)
    assert cheap in {plan.genotype for plan in plans}


def test_of_a_small_space_no_random_network_is_one_that_was_found():
    small = NasBench201(operations=("skip_connect", "nor_conv_1x1"), cells=1, channels=2)
    every = list(small.paths(None).enumerate())
    plans = select(_study(small, networks=len(every), random=1), every)
    assert len(plans) == len(every) == 2**6
    assert all(plan.role == "found" for plan in plans)


def test_what_only_the_built_network_tells_can_leave_no_size(space, trail):
    measures = {"time": Estimated(1e9)}
    assert fit(GenotypeSizes(Guessed(space, SHAPE, measures), trail[0]), {"time": 1.0}, measures, SHAPE) is None


@pytest.mark.parametrize("largest", [0, 1, 2, 5, 64, 100, 101])
def test_the_largest_number_is_found(largest):
    assert largest_number(lambda number: number <= largest, 100) == min(largest, 100)
