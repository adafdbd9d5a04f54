from __future__ import annotations

import torch

from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.parts import Choice, Choices, Objective, TorchOptimizers
from nasplug.values import StepClock, Update
from tests.updates import make_update

OPTIMIZER = OneLevel()


def relax(alpha: list[float], active: list[bool] | None = None) -> list[float]:
    mask = torch.tensor([active or [True] * len(alpha)])
    return OPTIMIZER.relax(torch.tensor([alpha], dtype=torch.float64), mask)[0].tolist()


def test_weights_are_shares_of_the_rectified_alpha() -> None:
    assert relax([2.0, 2.0, 4.0, -3.0]) == [0.25, 0.25, 0.5, 0.0]


def test_a_share_below_the_baseline_weighs_nothing_but_still_counts() -> None:
    low = 0.009 / 0.991
    assert relax([1.0, low]) == [1 / (1 + low), 0.0]


def test_deleted_candidates_do_not_count() -> None:
    assert relax([2.0, 2.0, 4.0], [True, True, False]) == [0.5, 0.5, 0.0]


def test_a_choice_whose_relus_are_all_zero_falls_to_its_strongest() -> None:
    alpha = torch.tensor([[-3.0, -1.0, -2.0], [1.0, 1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    weights = OPTIMIZER.relax(alpha, torch.tensor([[True, True, True], [True, True, True]]))
    assert weights.tolist() == [[0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
    (gradient,) = torch.autograd.grad((weights * torch.tensor([1.0, 2.0, 3.0])).sum(), alpha)
    assert gradient.isfinite().all()
    assert gradient[0].tolist() == [0.0, 0.0, 0.0]


def test_a_choice_of_very_many_candidates_keeps_its_largest() -> None:
    assert sum(relax([2.0] * 200)) > 0.99


def test_the_gradient_is_that_of_the_normalisation() -> None:
    p = torch.tensor([[1.0, 2.0, 3.0, -1.0]], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([0.3, -1.0, 2.0, 5.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad((OPTIMIZER.relax(p, torch.ones(1, 4, dtype=torch.bool)) @ slope).sum(), p)
    mean = (0.3 * 1 - 1.0 * 2 + 2.0 * 3) / 6
    expected = [(0.3 - mean) / 6, (-1.0 - mean) / 6, (2.0 - mean) / 6, 0.0]
    torch.testing.assert_close(gradient[0], torch.tensor(expected, dtype=torch.float64))


def test_everyone_moves_at_once_with_clipped_gradients() -> None:
    choices = Choices([Choice("c", ("a", "b"))])
    OPTIMIZER.initialise(choices, torch.Generator())
    assert choices.alpha.tolist() == [[2.0, 2.0]]
    weight = torch.nn.Parameter(torch.zeros(2))
    torch_optimizer = OPTIMIZER.make_alpha_optimizer(choices.alpha)
    torch_optimizers = TorchOptimizers(
        torch.optim.SGD([weight], lr=1.0), torch_optimizer, clip_weights=5.0, clip_alpha=OPTIMIZER.clip_alpha()
    )

    def evaluate(_: str) -> torch.Tensor:
        return 100 * weight.sum() + 100 * (choices.alpha * torch.tensor([[1.0, 0.0]])).sum()

    (update,) = OPTIMIZER.updates(StepClock(1, 1).at(0))
    assert update == Update("train", moves_weights=True, moves_alpha=True)
    make_update(OPTIMIZER, update, Objective("train", evaluate), torch_optimizers)
    torch.testing.assert_close(weight.detach().norm(), torch.tensor(5.0))
    torch.testing.assert_close(choices.alpha.detach(), torch.tensor([[2.0 - 0.2 * 5.0, 2.0]]))
