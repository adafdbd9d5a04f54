from __future__ import annotations

import pytest
import torch

from nasplug.supernets.accumulate import _gradients_by_map, _gradients_by_matrix, accumulate, accumulate_weighted


@pytest.mark.parametrize("view", [False, True])
def test_a_sum_takes_the_place_of_its_first_term_unless_that_is_a_view(view):
    base = torch.arange(8.0).reshape(2, 4)
    first = base[:, :2] if view else base[:, :2].clone()
    expected = first + 1
    total = accumulate(first, torch.ones(2, 2))
    assert torch.equal(total, expected)
    assert (total.data_ptr() == first.data_ptr()) is not view
    assert torch.equal(base, torch.arange(8.0).reshape(2, 4))


def test_terms_of_other_precision_are_not_rounded_to_that_of_the_first():
    total = accumulate(torch.ones(2, dtype=torch.bfloat16), torch.full((2,), 1e-3))
    assert total.dtype == torch.float32
    assert total.tolist() == pytest.approx([1.001, 1.001])
    halves = torch.ones(1, 1, 1, 2, dtype=torch.bfloat16)
    (weighed,) = accumulate_weighted([halves], torch.full((1, 1, 1, 2), 1e-3), torch.tensor([2.0]))
    assert weighed.dtype == torch.float32
    assert weighed.flatten().tolist() == pytest.approx([1.002, 1.002])


def maps(*shape):
    values = torch.randn(shape, dtype=torch.float64)
    return values.contiguous(memory_format=torch.channels_last).requires_grad_()


def test_a_weighed_map_is_added_to_every_total():
    x, kept = maps(2, 3, 4, 4), torch.zeros(2, 6, 4, 4, dtype=torch.float64)
    totals = [torch.ones_like(x), None, kept[:, :3]]
    with torch.no_grad():
        sums = accumulate_weighted(totals, x, torch.tensor([2.0, 3.0, 4.0]))
    for sum_, expected in zip(sums, (1 + 2 * x, 3 * x, 4 * x), strict=True):
        torch.testing.assert_close(sum_, expected)
    assert sums[0].data_ptr() == totals[0].data_ptr()
    assert not kept.any()


@pytest.mark.parametrize("used", [(0, 1, 2), (1,), (0, 2)])
def test_gradients_of_weighed_sums_are_those_of_plain_ones(used):
    def in_place(x, y, z, w):
        sums = accumulate_weighted([y * 2, None, z[:, 1:3]], x, w)
        return sum((number + 1) * sums[number].pow(2).sum() for number in used)

    def plain(x, y, z, w):
        sums = (y * 2 + w[0] * x, w[1] * x, z[:, 1:3] + w[2] * x)
        return sum((number + 1) * sums[number].pow(2).sum() for number in used)

    inputs = (maps(2, 2, 1, 2), maps(2, 2, 1, 2), maps(2, 4, 1, 2), torch.randn(3, dtype=torch.float64))
    for gradient, expected in zip(
        torch.autograd.functional.hessian(in_place, inputs),
        torch.autograd.functional.hessian(plain, inputs),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)
    assert torch.autograd.gradcheck(in_place, [value.detach().requires_grad_() for value in inputs])


def test_both_ways_to_the_gradients_of_weighed_sums_agree():
    x, gradients = maps(2, 3, 4, 5), [maps(2, 3, 4, 5) for _ in range(4)]
    weights, asked = torch.randn(4, dtype=torch.float64), {"asked_x": True, "asked_weights": True}
    for gradient, expected in zip(
        _gradients_by_map(x, weights, gradients, **asked),
        _gradients_by_matrix(x, weights, gradients, **asked),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)
        assert gradient.stride() == expected.stride()


def test_a_map_is_never_written_over_by_its_own_sum():
    x = maps(1, 1, 2, 2).detach()
    before = x.clone()
    accumulate_weighted([x], x, torch.tensor([0.5]))
    assert torch.equal(x, before)


def test_gradients_of_sums_in_place_are_those_of_plain_sums():
    def in_place(x, y):
        return accumulate(x.sin() * 2, y).pow(2).sum()

    inputs = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(in_place, inputs)
    assert torch.autograd.gradgradcheck(in_place, inputs)
