from __future__ import annotations

import pytest
import torch

from nasplug.supernets.summing import plus, plus_weighed


@pytest.mark.parametrize("view", [False, True])
def test_a_sum_takes_the_place_of_its_first_term_unless_that_is_a_view(view):
    base = torch.arange(8.0).reshape(2, 4)
    first = base[:, :2] if view else base[:, :2].clone()
    expected = first + 1
    total = plus(first, torch.ones(2, 2))
    assert torch.equal(total, expected)
    assert (total.data_ptr() == first.data_ptr()) is not view
    assert torch.equal(base, torch.arange(8.0).reshape(2, 4))


def test_terms_of_other_precision_are_not_rounded_to_that_of_the_first():
    total = plus(torch.ones(2, dtype=torch.bfloat16), torch.full((2,), 1e-3))
    assert total.dtype == torch.float32
    assert total.tolist() == pytest.approx([1.001, 1.001])
    weighed = plus_weighed(torch.ones(2, dtype=torch.bfloat16), torch.full((2,), 1e-3), torch.tensor(2.0))
    assert weighed.tolist() == pytest.approx([1.002, 1.002])


def test_gradients_and_their_gradients_are_those_of_plain_sums():
    def in_place(x, y, w):
        return plus_weighed(plus(x.sin() * 2, y), y, w).pow(2).sum()

    def plain(x, y, w):
        return (x.sin() * 2 + y + w * y).pow(2).sum()

    given = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    given.append(torch.tensor(0.7, dtype=torch.float64, requires_grad=True))
    for one, other in zip(
        torch.autograd.functional.hessian(in_place, tuple(given)),
        torch.autograd.functional.hessian(plain, tuple(given)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(in_place, given)
