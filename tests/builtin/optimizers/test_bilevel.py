from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel, virtual_step
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, Objective, TorchOptimizers
from nasplug.values import StepClock, Training, Update
from nasplug.values.options import build
from tests.updates import make_update

ALPHA = Update("train.alpha", moves_weights=False, moves_alpha=True)
WEIGHTS = Update("train.weights", moves_weights=True, moves_alpha=False)


class Quadratic:
    """L_weights = (w'Aw)/2 - w'B alpha and L_alpha = |w - c|^2/2 + |alpha|^2 d/2: every derivative is known."""

    def __init__(self, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
        self.curvature = root @ root.T / 4 + torch.eye(4, dtype=torch.float64)
        self.coupling = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        self.target = torch.randn(4, generator=generator, dtype=torch.float64)
        self.w = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
        self.alpha = nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64))
        options = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        self.sgd = torch.optim.SGD([self.w], lr=0.1, **options)
        self.torch_optimizers = TorchOptimizers(
            self.sgd, torch.optim.SGD([self.alpha], lr=1.0), clip_weights=0, clip_alpha=0
        )

    def evaluate(self, split: str) -> Tensor:
        if split == "train.weights":
            return self.w @ self.curvature @ self.w / 2 - self.w @ self.coupling @ self.alpha
        return ((self.w - self.target) ** 2).sum() / 2 + (self.alpha**2).sum() / 4

    def slope(self) -> Tensor:
        return self.curvature @ self.w.detach() - self.coupling @ self.alpha.detach()


@pytest.mark.parametrize(
    ("momentum", "decay", "nesterov"), [(0.0, 0.0, False), (0.9, 0.03, False), (0.9, 0.0, True), (0.9, 0.03, True)]
)
def test_second_order_follows_the_gradient_through_one_step_of_sgd(
    momentum: float, decay: float, nesterov: bool
) -> None:
    problem, optimizer = Quadratic(momentum, decay, nesterov), Bilevel(order="second")
    for _ in range(2):  # momentum has a past
        make_update(optimizer, WEIGHTS, Objective("train.weights", problem.evaluate), problem.torch_optimizers)
    w, alpha = problem.w.detach().clone(), problem.alpha.detach().clone()
    buffer = problem.sgd.state[problem.w].get("momentum_buffer")
    velocity = torch.zeros_like(w) if buffer is None else buffer.clone()
    slope = problem.slope() + decay * w
    moved = momentum * velocity + slope
    virtual = w - 0.1 * (slope + momentum * moved if nesterov else moved)
    # dw'/dalpha = xi B, with Nesterov's momentum xi (1 + mu) B; L_alpha depends on alpha directly through alpha / 2.
    rate = 0.1 * (1 + momentum) if nesterov else 0.1
    expected = alpha / 2 + rate * problem.coupling.T @ (virtual - problem.target)

    loss = make_update(optimizer, ALPHA, Objective("train.alpha", problem.evaluate), problem.torch_optimizers)

    torch.testing.assert_close(alpha - problem.alpha.detach(), expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(loss, ((virtual - problem.target) ** 2).sum() / 2 + (alpha**2).sum() / 4)
    assert torch.equal(problem.w, w)
    assert problem.w.grad is None
    if buffer is not None:
        assert torch.equal(buffer, velocity)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.04, 0.1), (0.1, 0.04)])
def test_second_order_follows_the_step_of_every_group_of_weights(rates: tuple[float, float], momentum: float) -> None:
    problem, optimizer = Quadratic(), Bilevel(order="second")
    halves = [nn.Parameter(problem.w.detach()[:2].clone()), nn.Parameter(problem.w.detach()[2:].clone())]
    groups = [{"params": [half], "lr": rate} for half, rate in zip(halves, rates, strict=True)]
    groups[0] |= {"momentum": momentum, "nesterov": momentum > 0}
    problem.torch_optimizers.weights = torch.optim.SGD(groups, lr=0.1)

    def evaluate(split: str) -> Tensor:
        problem.w = torch.cat(halves)
        return problem.evaluate(split)

    rate = torch.tensor(rates, dtype=torch.float64).repeat_interleave(2)
    rate[:2] *= 1 + momentum  # Nesterov's, of the first group alone
    alpha, w = problem.alpha.detach().clone(), torch.cat(halves).detach()
    virtual = w - rate * (problem.curvature @ w - problem.coupling @ alpha)
    expected = alpha / 2 + problem.coupling.T @ (rate * (virtual - problem.target))
    make_update(optimizer, ALPHA, Objective("train.alpha", evaluate), problem.torch_optimizers)
    torch.testing.assert_close(alpha - problem.alpha.detach(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("past", [0, 2])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_the_virtual_step_is_the_step_of_sgd(past: int, momentum: float, nesterov: bool) -> None:
    problem = Quadratic(momentum, 0.03, nesterov)
    for _ in range(past):
        make_update(Bilevel(), WEIGHTS, Objective("train.weights", problem.evaluate), problem.torch_optimizers)
    before = problem.w.detach().clone()
    virtual_step(problem.sgd, [problem.slope()])
    virtual = problem.w.detach().clone()
    with torch.no_grad():
        problem.w.copy_(before)
    make_update(Bilevel(), WEIGHTS, Objective("train.weights", problem.evaluate), problem.torch_optimizers)
    torch.testing.assert_close(virtual, problem.w.detach())


def test_first_order_takes_the_weights_as_they_are() -> None:
    problem = Quadratic()
    before = problem.alpha.detach().clone()
    make_update(Bilevel(), ALPHA, Objective("train.alpha", problem.evaluate), problem.torch_optimizers)
    torch.testing.assert_close(before - problem.alpha.detach(), before / 2)


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_search_settles_where_the_theory_says(order: str) -> None:
    problem, optimizer = Quadratic(), Bilevel(order=order)
    problem.torch_optimizers.alpha = torch.optim.SGD([problem.alpha], lr=0.3)
    for _ in range(400):
        for update in optimizer.updates(StepClock(1, 1).at(0)):
            make_update(optimizer, update, Objective(update.split, problem.evaluate), problem.torch_optimizers)
    # At rest w = A^-1 B alpha, and alpha / 2 + xi B'(w - c) = 0; first order sees no xi.
    rate = 0.1 if order == "second" else 0.0
    response = torch.linalg.solve(problem.curvature, problem.coupling)
    system = torch.eye(3, dtype=torch.float64) / 2 + rate * problem.coupling.T @ response
    alpha = torch.linalg.solve(system, rate * problem.coupling.T @ problem.target)
    torch.testing.assert_close(problem.alpha.detach(), alpha, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(problem.w.detach(), response @ alpha, rtol=1e-6, atol=1e-8)


class Normalised(nn.Module):
    """A network with batch-norm statistics and two weighed candidates."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(5, 4), nn.Linear(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.choices = Choices([Choice("c", ("first", "second"))])

    def forward(self, x: Tensor) -> Tensor:
        weights = self.choices.weights()[0]
        return self.norm(weights[0] * self.first(x) + weights[1] * self.second(x).tanh())


def setting(order: str, clip_alpha: float = 0.0) -> tuple[Normalised, Bilevel, TorchOptimizers, Objective, Objective]:
    net, optimizer = Normalised(), Bilevel(order=order)
    weights = [parameter for name, parameter in net.named_parameters() if not name.startswith("choices")]
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=3e-4)
    alpha = torch.optim.SGD([net.choices.alpha], lr=1.0)
    torch_optimizers = TorchOptimizers(sgd, alpha, clip_weights=5, clip_alpha=clip_alpha, buffers=tuple(net.buffers()))
    batches = {split: torch.randn(16, 5) for split in ("train.weights", "train.alpha")}
    labels = torch.randint(4, (16,))

    def evaluate(split: str) -> Tensor:
        return nn.functional.cross_entropy(net(batches[split]), labels)

    return net, optimizer, torch_optimizers, Objective("train.alpha", evaluate), Objective("train.weights", evaluate)


def test_second_order_puts_weights_and_buffers_back_bit_for_bit() -> None:
    net, optimizer, torch_optimizers, outer, inner = setting("second")
    make_update(optimizer, WEIGHTS, inner, torch_optimizers)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    make_update(optimizer, ALPHA, outer, torch_optimizers)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"choices.alpha"}


def test_weights_come_back_when_the_objective_fails() -> None:
    net, optimizer, torch_optimizers, _, _ = setting("second")
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def fails_on_alpha(split: str) -> Tensor:
        if split == "train.alpha":
            raise RuntimeError("no batch")
        return net(torch.randn(8, 5)).square().sum()

    with pytest.raises(RuntimeError, match="no batch"):
        make_update(optimizer, ALPHA, Objective("train.alpha", fails_on_alpha), torch_optimizers)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("order", ["first", "second"])
def test_each_update_changes_only_its_own(order: str) -> None:
    net, optimizer, torch_optimizers, outer, inner = setting(order)
    alpha = net.choices.alpha.detach().clone()
    make_update(optimizer, WEIGHTS, inner, torch_optimizers)
    assert torch.equal(net.choices.alpha, alpha)
    weights = [parameter.detach().clone() for parameter in net.first.parameters()]
    make_update(optimizer, ALPHA, outer, torch_optimizers)
    assert not torch.equal(net.choices.alpha, alpha)
    assert all(torch.equal(now, then) for now, then in zip(net.first.parameters(), weights, strict=True))


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_gradient_of_alpha_is_clipped(order: str) -> None:
    net, optimizer, torch_optimizers, outer, _ = setting(order, clip_alpha=1e-4)
    before = net.choices.alpha.detach().clone()
    make_update(optimizer, ALPHA, outer, torch_optimizers)
    assert float((net.choices.alpha.detach() - before).norm()) == pytest.approx(1e-4, rel=1e-2)


def test_second_order_refuses_another_optimizer_of_the_weights() -> None:
    net, optimizer, torch_optimizers, outer, _ = setting("second")
    torch_optimizers.weights = torch.optim.Adam(net.first.parameters())
    with pytest.raises(InputError, match="Adam"):
        make_update(optimizer, ALPHA, outer, torch_optimizers)
    with pytest.raises(InputError, match="adam"):
        optimizer.check(Darts(), Training(optimizer="adam"))
    Bilevel().check(Darts(), Training(optimizer="adam"))


def test_alpha_starts_narrow_and_seeded() -> None:
    choices = Choices([Choice(f"c{row}", tuple("abcdefgh")) for row in range(100)])
    optimizer = Bilevel()
    optimizer.initialise(choices, torch.Generator().manual_seed(3))
    first = choices.alpha.detach().clone()
    assert float(first.std()) == pytest.approx(1e-3, rel=0.1)
    optimizer.initialise(choices, torch.Generator().manual_seed(3))
    assert torch.equal(choices.alpha, first)


def test_the_train_split_is_divided_and_alpha_moves_first() -> None:
    optimizer = Bilevel(alpha_share=0.25)
    assert optimizer.splits() == {"train.weights": 0.75, "train.alpha": 0.25}
    assert tuple(optimizer.updates(StepClock(1, 1).at(0))) == (ALPHA, WEIGHTS)


def test_alpha_rests_in_the_warm_up_of_a_search_but_not_in_further_training() -> None:
    optimizer = Bilevel(warm_up=2)
    search, further = (
        [tuple(optimizer.updates(now)) for now in StepClock(2, 3, further=further).since(0)]
        for further in (False, True)
    )
    assert search == [(WEIGHTS,)] * 4 + [(ALPHA, WEIGHTS)] * 2
    assert further == [(ALPHA, WEIGHTS)] * 6


@pytest.mark.parametrize("betas", [[0.5], [0.5, 0.9, 0.9], [0.5, 1.0], [-0.1, 0.9]])
def test_averaging_constants_that_adam_cannot_have_are_refused(betas: list[float]) -> None:
    with pytest.raises(InputError, match="alpha_betas"):
        build(Bilevel, {"alpha_betas": betas}, "bilevel")
