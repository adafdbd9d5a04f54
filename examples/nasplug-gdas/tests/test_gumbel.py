from __future__ import annotations

import math

import pytest
import torch
from nasplug_gdas.gumbel import Draw, gumbel_noise

from nasplug.parts import Choice, Choices


def table(alpha: list[list[float]], widths: list[int]) -> Choices:
    choices = Choices([Choice(f"c{row}", tuple("abcd"[:width])) for row, width in enumerate(widths)])
    choices.alpha.data = torch.tensor(alpha, dtype=torch.float64)
    return choices


def soft(scores: list[float], temperature: float) -> list[float]:
    powers = [math.exp(score / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


def test_noise_is_standard_gumbel_and_a_function_of_its_seed() -> None:
    noise = gumbel_noise((40_000,), seed=3)
    assert noise.dtype == torch.float64
    assert float(noise.mean()) == pytest.approx(0.5772156649, abs=0.03)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.06)
    for quantile in (0.1, 0.5, 0.9):
        below = float((noise < -math.log(-math.log(quantile))).double().mean())
        assert below == pytest.approx(quantile, abs=0.01)
    assert torch.equal(noise, gumbel_noise((40_000,), seed=3))
    assert not torch.equal(noise, gumbel_noise((40_000,), seed=4))


def test_candidates_are_drawn_as_often_as_softmax_says() -> None:
    choices = table([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 9.0]], [4, 3])
    draws = 4000
    counts = sum(Draw.of(choices, seed, 1.0).mask.double() for seed in range(draws))
    for row, width in enumerate((4, 3)):
        expected = soft(choices.alpha[row, :width].tolist(), 1.0)
        chi_square = sum((float(counts[row, k]) - draws * p) ** 2 / (draws * p) for k, p in enumerate(expected))
        assert chi_square < 16.3  # the 0.999 quantile for three degrees of freedom
        assert float(counts[row].sum()) == draws
        assert float(counts[row, width:].sum()) == 0


def test_temperature_does_not_change_what_is_drawn() -> None:
    choices = table([[0.3, 0.1, 0.0, -0.2]], [4])
    for seed in range(20):
        assert torch.equal(Draw.of(choices, seed, 10.0).mask, Draw.of(choices, seed, 0.1).mask)


def test_deleted_candidates_are_neither_drawn_nor_counted() -> None:
    choices = table([[5.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [4, 4])
    choices.delete(torch.tensor([[True, False, False, False], [True, True, True, False]]))
    for seed in range(50):
        draw = Draw.of(choices, seed, 2.0)
        assert not bool((draw.mask & ~choices.kept).any())
        scores = (choices.alpha + draw.noise)[0, 1:].tolist()
        assert draw.relaxed(choices.alpha)[0].tolist() == pytest.approx([0.0, *soft(scores, 2.0)])
        assert draw.straight_through(choices.alpha)[1].tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_weights_are_one_hot_with_the_gradient_of_the_relaxation(temperature: float) -> None:
    """Against the derivative of the Gumbel-softmax, written out: dp_k/dalpha_j = p_k (delta_kj - p_j) / temperature."""
    choices = table([[0.4, -0.3, 0.2, 0.0], [0.1, 0.0, 0.6, 0.0]], [4, 3])
    draw = Draw.of(choices, 11, temperature)
    weights = draw.straight_through(choices.alpha)
    assert torch.equal(weights, draw.mask.double())  # exactly: the network is computed as if there were no relaxation

    slopes = [[0.7, -1.3, 2.0, 0.4], [-0.2, 1.1, 0.9, 0.0]]
    (found,) = torch.autograd.grad((weights * torch.tensor(slopes, dtype=torch.float64)).sum(), choices.alpha)
    for row, width in enumerate((4, 3)):
        p = soft((choices.alpha + draw.noise)[row, :width].tolist(), temperature)
        k = int(draw.mask[row].int().argmax())
        expected = [slopes[row][k] * p[k] * (float(j == k) - p[j]) / temperature for j in range(width)]
        assert found[row, :width].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert float(found[1, 3]) == 0.0


def test_the_gradient_is_that_of_finite_differences_of_the_relaxation() -> None:
    choices = table([[0.4, -0.3, 0.2, 0.0]], [4])
    draw = Draw.of(choices, 5, 0.7)
    drawn = int(draw.mask[0].int().argmax())
    (found,) = torch.autograd.grad(draw.straight_through(choices.alpha)[0, drawn], choices.alpha)
    for column in range(4):
        step = torch.zeros(1, 4, dtype=torch.float64)
        step[0, column] = 1e-6
        alpha = choices.alpha.detach()
        slope = (draw.relaxed(alpha + step) - draw.relaxed(alpha - step))[0, drawn] / 2e-6
        assert float(found[0, column]) == pytest.approx(float(slope), abs=1e-8)


def test_a_draw_is_in_force_only_while_it_alone_counts() -> None:
    choices = table([[0.0, 0.0, 0.0, 0.0]], [4])
    draw = Draw.of(choices, 1, 1.0)
    assert not draw.in_force
    with choices.only(draw.mask):
        assert draw.in_force
        with choices.only(~draw.mask):
            assert not draw.in_force
    assert not draw.in_force
