from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor

from nasplug.builtin.darts import Darts
from nasplug.builtin.nb201 import NasBench201
from nasplug.parts import Choices, CostModel, SearchSpace
from nasplug.parts.candidate_costs import CandidateCosts, fit_candidate_costs
from nasplug.values import Costs, Genotype, ImageShape

SHAPE = ImageShape(3, 8, 4)


def fit(space: SearchSpace, name: str, seed: int = 0) -> CandidateCosts:
    return fit_candidate_costs(space, CostModel(space, SHAPE), [name], Random(seed))[name]


def random_shares(choices: Choices) -> Tensor:
    """A probability for each candidate of each choice, float64."""
    logits = torch.randn(choices.valid_mask.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return logits.masked_fill(~choices.valid_mask, -torch.inf).softmax(-1)


def one_candidate_each(choices: Choices) -> Iterator[tuple[int, ...]]:
    return product(*(range(len(choice.candidates)) for choice in choices))


def nb201_genotype(choices: Choices, columns: tuple[int, ...]) -> Genotype:
    return Genotype(
        "nb201", {choice.name: (choice.candidates[column],) for choice, column in zip(choices, columns, strict=True)}
    )


def darts_genotype(choices: Choices, columns: tuple[int, ...]) -> Genotype:
    """All edges of the supernet, each with one operation, as the relaxation has them."""
    picks: dict[str, list[str]] = {}
    for choice, column in zip(choices, columns, strict=True):
        place, source = choice.name.split("<-")
        picks.setdefault(place, []).append(f"{choice.candidates[column]}@{source}")
    return Genotype("darts", {place: tuple(texts) for place, texts in picks.items()})


NB201 = NasBench201(operations=("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"), channels=3, cells=2)
DARTS = Darts(operations=("skip_connect", "sep_conv_3x3"), cells=4, nodes=2, channels=4)


@pytest.mark.parametrize("name", ["params", "macs"])
@pytest.mark.parametrize(("space", "build"), [(NB201, nb201_genotype), (DARTS, darts_genotype)], ids=["nb201", "darts"])
def test_the_expected_cost_is_the_mean_over_all_architectures(space, build, name):
    choices = Choices(space.choice_list())
    shares, found = random_shares(choices), fit(space, name)
    expected = total = 0.0
    for columns in one_candidate_each(choices):
        probability = float(np.prod([shares[row, column] for row, column in enumerate(columns)]))
        expected += probability * space.cost(build(choices, columns), SHAPE)[name]
        total += probability
    assert total == pytest.approx(1, rel=1e-12)
    assert found.base + float((shares * found.table).sum()) == pytest.approx(expected, rel=1e-11)
    if space is NB201:
        assert found.r_squared == pytest.approx(1, abs=1e-12)
    else:  # a genotype of DARTS leaves out edges, which alpha does not say
        assert 0.5 < found.r_squared < 0.95


def test_what_a_candidate_costs_beyond_the_cheapest():
    params, macs = (fit(NB201, name).table for name in ("params", "macs"))
    # Two cells of 3, 6 and 12 channels on maps of side 8, 4 and 2: kernels, and batch norms that have parameters alone.
    stages = [(3, 8), (6, 4), (12, 2)]
    for column, area in ((2, 1), (3, 9)):
        added = 2 * sum(area * channels**2 + 2 * channels for channels, _ in stages)
        assert params[:, column].tolist() == pytest.approx([added] * 6, rel=1e-9)
        added = 2 * sum(area * channels**2 * side**2 for channels, side in stages)
        assert macs[:, column].tolist() == pytest.approx([added] * 6, rel=1e-9)
    assert NB201.operations[:2] == ("none", "skip_connect")
    assert torch.stack([params, macs])[:, :, :2].abs().max() < 1e-6


def test_candidates_that_no_architecture_holds_cost_nothing():
    space = attrs.evolve(DARTS, operations=("none", "max_pool_3x3", "dil_conv_3x3"))
    found, choices = fit(space, "params"), Choices(space.choice_list())
    assert choices.choices[0].candidates == ("none", "max_pool_3x3", "dil_conv_3x3")
    assert found.table[:, 0].tolist() == [0.0] * len(choices)
    assert found.table[:, 1].tolist() == pytest.approx([0.0] * len(choices), abs=1e-6)
    assert (found.table[:, 2] > 1).all()


def test_choices_within_candidates_of_others(layered):
    space = layered.Layered()
    found = fit_candidate_costs(space, CostModel(space, layered.SHAPE), ["params"], Random(0))["params"]
    choices = Choices(space.choice_list())
    for genotype in space.paths(None).enumerate():
        predicted = found.base + float(found.table[space.encode(genotype, choices)].sum())
        assert predicted == pytest.approx(space.cost(genotype, layered.SHAPE).params, abs=1e-9)


class Curved:
    """A model by which architectures cost a power of their params, which is no sum over candidates."""

    def __init__(self, space: SearchSpace, power: float) -> None:
        self.space, self.power = space, power

    def costs(self, genotype, names):
        return Costs(heat=self.space.cost(genotype, SHAPE).params ** self.power)


def test_where_costs_are_no_sums_the_explained_variance_says_so():
    space = attrs.evolve(NB201, operations=("skip_connect", "nor_conv_1x1", "nor_conv_3x3"))
    choices, shares = Choices(space.choice_list()), []
    genotypes = list(space.paths(None).enumerate())
    held = torch.stack([space.encode(genotype, choices) for genotype in genotypes]).double()
    for power in (1.0, 2.0, 3.0):
        model = Curved(space, power)
        found = fit_candidate_costs(space, model, ["heat"], Random(0))["heat"]
        costs = torch.tensor([model.costs(genotype, ())["heat"] for genotype in genotypes], dtype=torch.float64)
        fitted = found.base + (held * found.table).sum((1, 2))
        whole = 1 - (costs - fitted).square().sum() / (costs - costs.mean()).square().sum()
        assert found.r_squared == pytest.approx(whole.item(), abs=0.12)
        shares.append(found.r_squared)
    assert shares[0] == pytest.approx(1, abs=1e-12)
    assert shares[0] > shares[1] > shares[2] > 0.3
    assert shares[2] < 0.95


def test_a_cost_that_is_the_same_for_all_is_the_base():
    space = Darts(operations=("max_pool_3x3", "avg_pool_3x3"), cells=2, nodes=2, channels=2)
    found = fit(space, "params")
    genotype = space.random(Random(5))
    assert found.base == pytest.approx(space.cost(genotype, SHAPE).params)
    assert found.table.abs().max() < 1e-9
    assert found.r_squared == 1
