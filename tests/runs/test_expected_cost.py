from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nasplug.builtin.nb201 import NasBench201
from nasplug.compose import resolve
from nasplug.engine import Trainer, train
from nasplug.engine.resource_term import ResourceTerm
from nasplug.errors import InputError
from nasplug.parts import Choices
from nasplug.plugins import load_plugins
from nasplug.runs.context import RunContext, new_context
from nasplug.runs.expected_cost import describe_cheapest, describe_estimates, make_resource_term
from nasplug.runs.search_trainer import make_search_trainer
from nasplug.store.run_folder import RunFolder, write_checked_json
from nasplug.values import Genotype

TINY = {
    "run": {"method": "darts", "preset": "tiny", "seed": 3, "device": "cpu", "measure_every": 0},
    "space": {"channels": 2, "nodes": 2},
    "search": {"epochs": 1},
    "optimizer": {"alpha_lr": 0.1},
}


def context_of(folder: Path, budget: dict[str, object], method: str = "darts", scale: bool = True) -> RunContext:
    layer = TINY if method == "darts" else {"run": {**TINY["run"], "method": method}}
    plugins = load_plugins()
    recipe = resolve(plugins, [{**layer, "budget": budget, "select": {"scale": scale}}])
    return new_context(RunFolder(folder), plugins, recipe)


def searching(context: RunContext) -> Trainer:
    torch.manual_seed(0)
    trainer = make_search_trainer(context, context.composition.space.supernet(context.shape), None)
    trainer.begin(torch.Generator().manual_seed(0))
    return trainer


def test_without_a_weight_there_is_no_term(tmp_path):
    assert make_resource_term(context_of(tmp_path, {})) is None
    limited = context_of(tmp_path, {"params": 5000, "weight": 0.0})
    assert searching(limited).resource_term is None


def test_of_several_budgets_the_tightest_limits_count(tmp_path):
    def made(budget):
        return make_resource_term(context_of(tmp_path, budget, scale=False))

    several = made({"params": [9000, 5000], "macs": 10**5, "weight": 2.0})
    tightest = made({"params": 5000, "macs": 10**5, "weight": 2.0})
    assert torch.equal(several.coefficients, tightest.coefficients)
    assert several.base == tightest.base
    assert set(several.r_squared) == {"params", "macs"}
    half = made({"params": 5000, "macs": 10**5, "weight": 1.0})
    torch.testing.assert_close(half.coefficients * 2, tightest.coefficients)


def test_limits_do_not_count_where_networks_are_scaled_to_them(tmp_path):
    small = make_resource_term(context_of(tmp_path, {"params": 5000, "weight": 2.0}))
    large = make_resource_term(context_of(tmp_path, {"params": 90_000, "weight": 2.0}))
    assert torch.equal(small.coefficients, large.coefficients)


def test_a_run_of_an_earlier_version_goes_on_with_its_limits(tmp_path):
    context = context_of(tmp_path, {"params": 5000, "weight": 2.0})
    by_limit = make_resource_term(context_of(tmp_path, {"params": 5000, "weight": 2.0}, scale=False))
    path = tmp_path / "phases/search/expected_costs.json"
    record = json.loads(path.read_text())
    del record["checksum"], record["question"]["scaled"]
    write_checked_json(path, record)
    assert torch.equal(make_resource_term(context).coefficients, by_limit.coefficients)


def test_what_was_measured_once_is_used_again(tmp_path, monkeypatch):
    budget = {"params": 5000, "weight": 2.0}
    first = make_resource_term(context_of(tmp_path, budget))
    with monkeypatch.context() as patched:
        patched.setattr("nasplug.engine.resource_term.fit_candidate_costs", None)  # nothing is fitted again
        again = make_resource_term(context_of(tmp_path, budget))
    assert torch.equal(again.coefficients, first.coefficients)
    assert (again.base, again.r_squared) == (first.base, first.r_squared)
    other = make_resource_term(context_of(tmp_path, {"params": 5000, "weight": 1.0}))
    assert not torch.equal(other.coefficients, first.coefficients)
    path = tmp_path / "phases/search/expected_costs.json"
    path.write_text(path.read_text().replace('"weight": 1.0', '"weight": 1.5'))
    with pytest.raises(InputError, match="does not match its checksum"):
        make_resource_term(context_of(tmp_path, {"params": 5000, "weight": 1.5}))


def test_a_weight_that_nothing_would_heed_is_refused(tmp_path):
    with pytest.raises(InputError, match="which the optimizer 'random' does not learn; set"):
        make_resource_term(context_of(tmp_path, {"params": 5000, "weight": 1.0}, method="random"))
    with pytest.raises(InputError, match="the budget limits nothing"):
        make_resource_term(context_of(tmp_path, {"weight": 1.0}))
    with pytest.raises(InputError, match="the budget limits memory"):
        make_resource_term(context_of(tmp_path, {"memory": 10**5, "weight": 1.0}))


def test_estimates_are_called_so():
    assert describe_estimates({"params": 1.0, "macs": 0.9996}) == []
    (sentence,) = describe_estimates({"params": 1.0, "latency": 0.912})
    assert "expected latency" in sentence
    assert "91.2%" in sentence


@pytest.mark.slow
def test_a_search_with_a_heavy_weight_ends_cheaper(tmp_path):
    params, alphas = [], []
    for budget in ({}, {"params": 3000, "weight": 0.0}, {"params": 3000, "weight": 30.0}):
        context = context_of(tmp_path, budget)
        trainer = searching(context)
        for _ in train(trainer):
            pass
        space, choices = context.composition.space, trainer.choices
        genotype = space.decode(choices, choices.weights().detach())
        params.append(space.cost(genotype, context.shape).params)
        alphas.append(choices.alpha.detach().clone())
    assert torch.equal(alphas[0], alphas[1])
    assert params[0] == params[1]
    assert params[2] < 0.8 * params[1]


def test_where_what_is_found_is_nearly_the_cheapest_costs_are_said_to_have_decided(tmp_path):
    context = context_of(tmp_path, {"params": 5000, "weight": 2.0}, method="dnad", scale=True)
    recipe, space = context.recipe, NasBench201(operations=("skip_connect", "nor_conv_1x1", "nor_conv_3x3"))
    choices = Choices(space.choice_list())
    table = torch.tensor([[0.0, 1.0, 9.0]] * len(choices))
    table[0] = 1.0  # where all cost the same, nothing is the cheapest
    term = ResourceTerm(0.0, table)

    def found(*operations):
        return Genotype(space.name, [(choice.name, (name,)) for choice, name in zip(choices, operations, strict=True)])

    cheap, dear = ["skip_connect"] * 6, ["nor_conv_3x3"] * 6
    for operations in (cheap, ["nor_conv_3x3", *cheap[1:]], [*cheap[:5], "nor_conv_1x1"]):
        (sentence,) = describe_cheapest(recipe, space, choices, term, [found(*operations)])
        assert "has outweighed what the search has learnt" in sentence
        assert "--set budget.weight=0.2, or --set search.epochs=" in sentence
    assert describe_cheapest(recipe, space, choices, term, [found(*cheap[:4], *dear[:2])]) == []
    assert describe_cheapest(recipe, space, choices, term, [found(*cheap), found(*dear)]) == []
    assert describe_cheapest(recipe, space, choices, ResourceTerm(0.0, torch.ones(6, 3)), [found(*cheap)]) == []
