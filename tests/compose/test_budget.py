from __future__ import annotations

import pytest

from nasplug.compose import resolve, resolve_recorded
from nasplug.compose.layers import BUDGET, RECORDED, SECTIONS
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.register import RESERVED
from nasplug.values.recipe import EXECUTOR, BudgetOptions


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


def budget_of(plugins, *layers) -> BudgetOptions:
    return resolve(plugins, [{"run": {"method": "random", "preset": "tiny"}}, *layers]).budget


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ({"params": "50k"}, {"params": (50_000,)}),
        ({"params": 50_000.0, "latency": 2}, {"params": (50_000,), "latency": (2.0,)}),
        ({"memory": "64KiB", "size": "80KB"}, {"memory": (65_536,), "size": (80_000,)}),
        ({"latency": "300us"}, {"latency": (0.3,)}),
        ({"params": "20k,50k", "latency": [1, "2ms"]}, {"params": (20_000, 50_000), "latency": (1.0, 2.0)}),
    ],
)
def test_limits_are_read_in_the_units_of_their_measures(plugins, written, limits):
    read = budget_of(plugins, {"budget": written}).limits
    assert read.keys() == limits.keys()
    assert all(read[name] == pytest.approx(values) for name, values in limits.items())


def test_several_limits_make_several_budgets(plugins):
    budget = budget_of(plugins, {"budget": {"params": "20k,50k", "macs": "1M"}})
    assert budget.points == ({"params": 20_000, "macs": 10**6}, {"params": 50_000, "macs": 10**6})
    assert budget_of(plugins).points == ()


def test_the_limits_of_earlier_versions_are_read_and_a_later_layer_wins(plugins):
    assert budget_of(plugins, {"select": {"max_params": 9000, "max_macs": 10**6}}).points == (
        {"params": 9000, "macs": 10**6},
    )
    layers = ({"select": {"max_params": 9000}}, {"budget": {"params": "5k"}})
    assert budget_of(plugins, *layers).points == ({"params": 5000},)
    assert budget_of(plugins, *reversed(layers)).points == ({"params": 9000},)


def test_a_recipe_repeats_itself_with_the_options_of_measures_and_references(plugins):
    layers = [
        {"run": {"method": "random", "preset": "tiny"}, "budget": {"latency": "0.5ms"}, "latency": {"seconds": 0.1}},
        {"select": {"references": ["plain"], "measures": ["memory"]}},
    ]
    recipe = resolve(plugins, layers)
    assert recipe.costs["latency"].options["seconds"] == 0.1
    assert set(recipe.costs) == {"latency", "memory"}
    assert set(recipe.references) == {"plain"}
    assert resolve(plugins, [recipe.to_dict()]) == recipe
    assert resolve_recorded(plugins, recipe.to_dict(), None) == recipe


def test_options_of_what_is_not_there_are_refused(plugins):
    for layer, reason in (
        ({"latency": {"secnds": 1.0}}, "Did you mean 'seconds'"),
        ({"select": {"measures": ["latncy"]}}, "Did you mean 'latency'"),
        ({"select": {"references": ["resnet9"]}}, "Did you mean 'resnet8'"),
        ({"budget": {"limits": {}}}, "There is no cost measure 'limits'"),
    ):
        with pytest.raises(InputError, match=reason):
            budget_of(plugins, layer)


def test_what_a_recipe_of_an_earlier_version_does_not_say_is_done_as_then(plugins):
    recorded = resolve(plugins, [{"run": {"method": "random", "preset": "tiny"}}]).to_dict()
    for name in ("scale", "references", "measures"):
        del recorded["select"][name]
    del recorded["budget"]
    recorded["select"] |= {"max_params": 9000}
    recipe = resolve_recorded(plugins, recorded, None)
    assert (recipe.select.scale, recipe.select.references, recipe.select.measures) == (False, (), ())
    assert recipe.budget.points == ({"params": 9000},)


def test_no_measure_or_reference_can_have_the_name_of_another_section():
    assert set(RESERVED) == {*SECTIONS, BUDGET, EXECUTOR, *RECORDED, "weight"}


@pytest.mark.parametrize(
    ("asked", "weight"),
    [
        ({"budget": {"params": 5000}}, 2),
        ({"budget": {"latency": "1ms"}}, 2),
        ({"budget": {"params": 5000, "weight": 0}}, 0),
        ({"budget": {"params": 5000, "weight": 0.5}}, 0.5),
        ({}, 0),
        ({"budget": {"memory": "8KB"}}, 0),  # no sum over layers
        ({"budget": {"params": 5000}, "select": {"scale": False}}, 0),
        ({"budget": {"params": 5000}, "optimizer": {"part": "random"}}, 0),  # learns no alpha
        ({"budget": {"params": 5000}, "space": {"part": "darts"}}, 0),
    ],
)
def test_a_space_that_chooses_widths_weighs_costs_unless_told_otherwise(plugins, asked, weight):
    layer = {"run": {"method": "darts", "preset": "tiny"}, "space": {"part": "compact"}}
    assert resolve(plugins, [layer, asked]).budget.weight == weight
