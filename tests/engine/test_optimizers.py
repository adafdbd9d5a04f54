"""The optimizers of the weights, against steps worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nasplug.engine.optimizers import make_weight_optimizer
from nasplug.engine.rmsprop import RMSprop
from nasplug.values import Training


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def step(torch_optimizer: torch.optim.Optimizer, of: nn.Parameter, gradient: list[float]) -> None:
    of.grad = torch.tensor(gradient, dtype=of.dtype).reshape(of.shape)
    torch_optimizer.step()


def test_rmsprop_takes_the_steps_of_tensorflow():
    weight = parameter(1.0)
    training = Training(optimizer="rmsprop", lr=0.1, momentum=0.5, rho=0.9, eps=0.001, weight_decay=0.0)
    torch_optimizer = make_weight_optimizer(training, [weight])
    step(torch_optimizer, weight, [2.0])
    # s = 0.9 * 1 + 0.1 * 4 = 1.3; v = 0.1 * 2 / sqrt(1.301)
    first = 0.2 / math.sqrt(1.301)
    assert weight.item() == pytest.approx(1 - first, rel=1e-12)
    torch_optimizer.param_groups[0]["lr"] = 0.01
    step(torch_optimizer, weight, [-1.0])
    # s = 0.9 * 1.3 + 0.1 * 1 = 1.27; the rate of the first step stays in the momentum
    second = 0.5 * first - 0.01 / math.sqrt(1.271)
    assert weight.item() == pytest.approx(1 - first - second, rel=1e-12)


def test_rmsprop_adds_weight_decay_to_the_gradient_and_has_efficientnets_eps():
    weight = parameter(3.0)
    torch_optimizer = make_weight_optimizer(
        Training(optimizer="rmsprop", lr=0.1, momentum=0.0, weight_decay=0.5), [weight]
    )
    step(torch_optimizer, weight, [0.5])
    # g = 0.5 + 0.5 * 3 = 2
    assert weight.item() == pytest.approx(3 - 0.1 * 2 / math.sqrt(0.9 + 0.1 * 4 + 0.001), rel=1e-12)


def test_rmsprop_leaves_weights_without_a_gradient_alone():
    moved, idle = parameter(1.0), parameter(1.0)
    torch_optimizer = RMSprop([moved, idle], lr=0.1, rho=0.9, eps=1e-3, momentum=0.9, weight_decay=0.1)
    step(torch_optimizer, moved, [1.0])
    assert idle.item() == 1
    assert idle not in torch_optimizer.state
    loss = torch_optimizer.step(lambda: 7.0)
    assert loss == 7


def test_adamw_decays_apart_from_the_gradient():
    weight = parameter(2.0)
    torch_optimizer = make_weight_optimizer(Training(optimizer="adamw", lr=0.1, weight_decay=0.25, eps=0.5), [weight])
    step(torch_optimizer, weight, [3.0])
    # Decayed by lr * wd, then moved by lr g / (|g| + eps): the first step corrects both averages.
    assert weight.item() == pytest.approx(2 * (1 - 0.025) - 0.1 * 3 / 3.5, rel=1e-12)


def test_adam_has_an_eps_of_1e_8_unless_told_otherwise():
    for eps, expected in ((None, 1e-8), (0.1, 0.1)):
        torch_optimizer = make_weight_optimizer(Training(optimizer="adam", eps=eps), [parameter(1.0)])
        assert torch_optimizer.param_groups[0]["eps"] == expected


def test_nesterov_looks_ahead():
    weight = parameter(1.0)
    torch_optimizer = make_weight_optimizer(Training(lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.0), [weight])
    step(torch_optimizer, weight, [1.0])
    assert weight.item() == pytest.approx(1 - 0.1 * (1 + 0.5 * 1), rel=1e-12)
    step(torch_optimizer, weight, [1.0])
    # The momentum is 0.5 * 1 + 1 = 1.5.
    assert weight.item() == pytest.approx(1 - 0.15 - 0.1 * (1 + 0.5 * 1.5), rel=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("decay_norms", [True, False])
def test_weight_decay_may_spare_tensors_of_one_dimension(optimizer, decay_norms):
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 2)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    training = Training(optimizer=optimizer, lr=0.1, weight_decay=0.5, decay_norms=decay_norms)
    torch_optimizer = make_weight_optimizer(training, list(net.parameters()))
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch_optimizer.step()
    decayed = {name for name, parameter in net.named_parameters() if (parameter != 1).all()}
    wide = {"0.weight", "2.weight"}
    assert decayed == ({name for name, _ in net.named_parameters()} if decay_norms else wide)


def test_without_wide_tensors_there_is_no_empty_group():
    torch_optimizer = make_weight_optimizer(Training(decay_norms=False), [parameter(1.0)])
    assert [len(group["params"]) for group in torch_optimizer.param_groups] == [1]
