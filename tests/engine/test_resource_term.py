from __future__ import annotations

from random import Random

import attrs
import pytest
import torch

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.engine import EagerRunner
from nasplug.engine.plain.keep import Keep
from nasplug.engine.resource_term import ResourceTerm
from nasplug.errors import InputError
from nasplug.parts import Choices, CostMeasure, CostModel
from nasplug.parts.candidate_costs import fit_candidate_costs
from nasplug.values import Unit, Update
from tests.engine.searches import EDGES, NODES, SHAPE, carried_out, shrinking, trainer

BUDGET = {"params": 2000, "macs": 90_000}
MODEL = CostModel(EDGES, SHAPE)


def term(weight: float, budget=BUDGET, space=EDGES, model=MODEL) -> ResourceTerm:
    return ResourceTerm.fit(weight, budget, space, model, Random(0))


def random_choices() -> Choices:
    choices = Choices(EDGES.choice_list()).double()
    with torch.no_grad():
        choices.alpha.normal_(generator=torch.Generator().manual_seed(2))
    return choices


def test_it_is_the_weighted_sum_of_expected_costs_over_limits():
    choices, made, expected = random_choices(), term(0.7), 0.0
    weights, fits = choices.weights().detach(), fit_candidate_costs(EDGES, MODEL, [*BUDGET], Random(0))
    for name, limit in BUDGET.items():
        expected += 0.7 * (fits[name].base + float((weights * fits[name].table).sum())) / limit
    assert made(choices).item() == pytest.approx(expected, rel=1e-6)
    assert made.coefficients.dtype == torch.float32


def test_of_networks_that_are_scaled_an_average_one_pays_the_weight():
    fits = fit_candidate_costs(EDGES, MODEL, [*BUDGET], Random(0))
    made = ResourceTerm.fit(0.7, BUDGET, EDGES, MODEL, Random(0), scaled=True)
    wide = ResourceTerm.fit(
        0.7, {name: 3 * limit for name, limit in BUDGET.items()}, EDGES, MODEL, Random(0), scaled=True
    )
    assert torch.equal(made.coefficients, wide.coefficients)

    choices, paid = Choices(EDGES.choice_list()), []
    generator = Random(1)
    for _ in range(300):
        held = EDGES.encode(EDGES.random(generator), choices)
        paid.append(float((held * made.coefficients).sum()) + made.base)
    assert sum(paid) / len(paid) == pytest.approx(0.7 * len(BUDGET), rel=0.05)
    expected = sum(0.7 * fit.table / fit.mean for fit in fits.values())
    torch.testing.assert_close(made.coefficients, expected.float())


@pytest.mark.parametrize("relax", [Bilevel().relax, OneLevel().relax], ids=["softmax", "relu"])
def test_its_gradient_is_that_of_finite_differences(relax):
    choices, made = random_choices(), term(0.7)
    with torch.no_grad():
        choices.alpha.abs_().add_(1)
    choices.relaxation = relax

    def value(alpha):
        with torch.no_grad():
            choices.alpha.copy_(alpha)
        return (relax(alpha, choices.active_mask) * made.coefficients).sum() + made.base

    alpha = choices.alpha.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(value, alpha)
    (gradient,) = torch.autograd.grad(made(choices), choices.alpha)
    (expected,) = torch.autograd.grad(value(alpha), alpha)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("preference", [0.0, 2.0])
def test_layers_of_a_cell_cost_as_much_as_the_cell_is_likely(preference):
    """Against the sum over all architectures of their probabilities times their costs, and its gradient."""
    space = MBConvSpace(blocks=("s1 1x32 3x16",), channels=16, kernels=(3, 7), expansions=(1, 6))
    model = CostModel(space, SHAPE)
    choices = Choices(space.choice_list()).double()
    with torch.no_grad():
        choices.alpha[1:, 2:] = preference
    weights, expected = choices.weights(), torch.zeros((), dtype=torch.float64)
    for genotype in space.paths(None).enumerate():
        expected = expected + weights[space.encode(genotype, choices)].prod() * model.costs(genotype, ())["params"]
    made = term(1.0, {"params": 1000}, space, model)
    assert made.r_squared["params"] == pytest.approx(1, abs=1e-9)
    assert made(choices).item() == pytest.approx(expected.item() / 1000, rel=1e-6)
    gradients = [torch.autograd.grad(value, choices.alpha)[0] for value in (made(choices), expected / 1000)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)
    assert gradients[0][0].abs().max() > 0.1


def test_where_a_choice_may_hold_several_or_none_the_estimate_is_said_to_be_one():
    assert term(1.0, model=CostModel(NODES, SHAPE), space=NODES).r_squared["params"] < 0.5
    assert term(1.0).r_squared["params"] < 0.9


def test_a_deleted_candidate_has_no_share_in_it():
    choices, made = random_choices(), term(1.0)
    doomed = torch.zeros_like(choices.kept)
    doomed[:, -1] = True
    choices.delete(doomed)
    spoilt = attrs.evolve(made, coefficients=made.coefficients.masked_fill(doomed, 1e6))
    assert spoilt(choices).item() == made(choices).item()


def test_measures_that_do_not_add_up_are_left_out():
    class Peak(CostMeasure):
        unit = Unit("B", whole=True)

        def cost(self, net, shape):
            raise AssertionError("networks are not built")

    model = CostModel(EDGES, SHAPE, {"peak": Peak()})
    both, alone = (term(1.0, budget, model=model) for budget in ({"peak": 5.0, "params": 2000}, {"params": 2000}))
    assert torch.equal(both.coefficients, alone.coefficients)
    with pytest.raises(InputError, match=r"budget\.weight needs a limit on .* but the budget limits peak; add one"):
        term(1.0, {"peak": 5.0}, model=model)
    with pytest.raises(InputError, match="the budget limits nothing"):
        term(1.0, {})


def test_it_is_added_where_alpha_learns_and_nowhere_else():
    plain, priced = (trainer(EDGES, Bilevel(alpha_lr=0.1), Keep(), epochs=1) for _ in range(2))
    priced.resource_term = term(0.5)
    now = plain.clock.at(0)

    def loss(made, update: Update, split: str) -> float:
        return made.compute_loss(update, made.batches(now), now, split).item()

    alpha, weights = Bilevel().updates(now)
    expected = loss(plain, alpha, alpha.split) + priced.resource_term(priced.choices).item()
    assert loss(priced, alpha, alpha.split) == pytest.approx(expected, rel=1e-12)
    assert loss(priced, weights, weights.split) == loss(plain, weights, weights.split)
    # Second order asks for the loss of the weights within the update of alpha.
    assert loss(priced, alpha, weights.split) == loss(plain, alpha, weights.split)


def test_the_schedule_does_not_multiply_it():
    plain, priced = shrinking(), shrinking()
    priced.resource_term = term(0.5, space=NODES, model=CostModel(NODES, SHAPE))
    differences = []
    for made in (plain, priced):
        made.begin(torch.Generator().manual_seed(1))
    for step in (0, 20):
        now = plain.clock.at(step)
        (update,) = OneLevel().updates(now)
        losses = [made.compute_loss(update, made.batches(now), now, update.split).item() for made in (plain, priced)]
        differences.append(losses[1] - losses[0])
    assert differences == pytest.approx([priced.resource_term(priced.choices).item()] * 2, rel=1e-9)


@pytest.mark.parametrize("order", ["first", pytest.param("second", marks=pytest.mark.slow)])
def test_a_heavy_term_leads_to_cheaper_candidates(order):
    expected = []
    for weight in (0.0, 20.0):
        made = trainer(EDGES, Bilevel(alpha_lr=0.1, order=order), Keep(), epochs=2)
        made.resource_term = term(weight)
        carried_out(made, EagerRunner())
        expected.append(float((made.choices.weights().detach() * term(1.0).coefficients).sum()))
    assert expected[1] < 0.8 * expected[0]
