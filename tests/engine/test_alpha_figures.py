from __future__ import annotations

import math

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.nb201.space import NasBench201
from nasplug.engine.alpha_figures import AlphaFigures, mean_entropy
from nasplug.engine.parameterless import ParameterlessOperations
from nasplug.parts import softmax
from nasplug.values import ImageShape, StepClock

SHAPE = ImageShape(channels=1, size=8, classes=4)
CLOCK = StepClock(steps_per_epoch=3, epochs=2)
END = CLOCK.at(2)


def figures_of(space) -> AlphaFigures:
    torch.manual_seed(0)
    return AlphaFigures(space.supernet(SHAPE), space, ParameterlessOperations(space, SHAPE))


def entropy(*rows) -> float | None:
    weights = torch.tensor(rows)
    return mean_entropy(weights, torch.ones_like(weights, dtype=torch.bool))


def test_entropies_of_known_weights():
    assert entropy([1.0, 0, 0, 0]) == 0
    assert entropy([0.25] * 4) == pytest.approx(1)
    assert entropy([0.5, 0.5, 0, 0]) == pytest.approx(1 / 2)  # as after two of four were deleted
    assert entropy([1.0, 0, 0, 0], [0.25] * 4) == pytest.approx(1 / 2)
    weights = [0.7, 0.2, 0.1]
    known = -sum(weight * math.log(weight) for weight in weights) / math.log(3)
    assert entropy(weights) == pytest.approx(known)
    assert entropy([10 * weight for weight in weights]) == pytest.approx(known)
    assert entropy([0.0, 0.0]) == 0


def test_padding_and_single_candidates_do_not_count():
    valid = torch.tensor([[True, True, False], [True, False, False]])
    assert mean_entropy(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]), valid) == pytest.approx(1)
    assert mean_entropy(torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)) is None


def test_figures_are_those_of_alpha_at_the_end_of_an_epoch():
    figures = figures_of(NasBench201(channels=2, cells=1))
    names = figures.space.operations
    with torch.no_grad():
        figures.net.choices.alpha[:] = torch.tensor([9.0 * (name == "nor_conv_3x3") for name in names])
        figures.net.choices.alpha[0] = torch.tensor([9.0 * (name == "skip_connect") for name in names])
    found = figures(END)
    weights = torch.tensor([9.0, 0, 0, 0, 0]).softmax(0).double()
    assert found["alpha_entropy"] == pytest.approx(float(-(weights * weights.log()).sum()) / math.log(5), rel=1e-4)
    assert found["parameterless_share"] == pytest.approx(1 / 6)
    assert found["parameterless_expected"] == pytest.approx(3 / 5)
    assert [bool(figures(now)) for now in CLOCK.since(0)] == [False, False, True, False, False, True]


def test_deleted_candidates_are_decided():
    figures = figures_of(NasBench201(channels=2, cells=1))
    choices = figures.net.choices
    choices.delete(torch.arange(5).expand(6, 5) > 0)
    assert figures(END)["alpha_entropy"] == 0


def test_a_space_without_operations_that_count_has_its_entropy_alone():
    figures = figures_of(NasBench201(operations=("nor_conv_1x1", "nor_conv_3x3"), channels=2, cells=1))
    assert figures(END) == {"alpha_entropy": pytest.approx(1)}


def test_the_supernet_and_the_random_state_are_left_alone():
    """Also where the relaxation draws noise; layers are built on the way, and their weights are drawn, too."""
    figures = figures_of(Darts(cells=3, channels=2, nodes=2))
    net = figures.net
    net.choices.relaxation = lambda alpha, active: softmax(alpha + torch.randn_like(alpha), active)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.train()
    drawn = torch.get_rng_state()
    assert figures(END)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    after = net.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
