from __future__ import annotations

import math

import pytest
import torch
from nasplug_gdas.gumbel import Sample, gumbel_noise

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


def test_candidates_are_sampled_with_the_probabilities_of_softmax() -> None:
    choices = table([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 9.0]], [4, 3])
    count = 4000
    counts = sum(Sample.of(choices, seed, 1.0).mask.double() for seed in range(count))
    for row, width in enumerate((4, 3)):
        expected = soft(choices.alpha[row, :width].tolist(), 1.0)
        chi_square = sum((float(counts[row, k]) - count * p) ** 2 / (count * p) for k, p in enumerate(expected))
        assert chi_square < 16.3  # the 0.999 quantile for three degrees of freedom
        assert float(counts[row].sum()) == count
        assert float(counts[row, width:].sum()) == 0


def test_temperature_does_not_change_the_sample() -> None:
    choices = table([[0.3, 0.1, 0.0, -0.2]], [4])
    for seed in range(20):
        assert torch.equal(Sample.of(choices, seed, 10.0).mask, Sample.of(choices, seed, 0.1).mask)


def test_deleted_candidates_are_not_sampled_and_weigh_nothing() -> None:
    choices = table([[5.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [4, 4])
    choices.delete(torch.tensor([[True, False, False, False], [True, True, True, False]]))
    for seed in range(50):
        sample = Sample.of(choices, seed, 2.0)
        assert not bool((sample.mask & ~choices.kept).any())
        scores = (choices.alpha + sample.noise)[0, 1:].tolist()
        assert sample.relaxed(choices.alpha)[0].tolist() == pytest.approx([0.0, *soft(scores, 2.0)])
        assert sample.straight_through(choices.alpha)[1].tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_weights_are_one_hot_with_the_gradient_of_the_relaxation(temperature: float) -> None:
    """Against the derivative of the Gumbel-softmax, written out: dp_k/dalpha_j = p_k (delta_kj - p_j) / temperature."""
    choices = table([[0.4, -0.3, 0.2, 0.0], [0.1, 0.0, 0.6, 0.0]], [4, 3])
    sample = Sample.of(choices, 11, temperature)
    weights = sample.straight_through(choices.alpha)
    assert torch.equal(weights, sample.mask.double())  # exactly: the network is computed as if there were no relaxation

    slopes = [[0.7, -1.3, 2.0, 0.4], [-0.2, 1.1, 0.9, 0.0]]
    (gradient,) = torch.autograd.grad((weights * torch.tensor(slopes, dtype=torch.float64)).sum(), choices.alpha)
    for row, width in enumerate((4, 3)):
        p = soft((choices.alpha + sample.noise)[row, :width].tolist(), temperature)
        k = int(sample.mask[row].int().argmax())
        expected = [slopes[row][k] * p[k] * (float(j == k) - p[j]) / temperature for j in range(width)]
        assert gradient[row, :width].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert float(gradient[1, 3]) == 0.0


def test_the_gradient_is_that_of_finite_differences_of_the_relaxation() -> None:
    choices = table([[0.4, -0.3, 0.2, 0.0]], [4])
    sample = Sample.of(choices, 5, 0.7)
    picked = int(sample.mask[0].int().argmax())
    (gradient,) = torch.autograd.grad(sample.straight_through(choices.alpha)[0, picked], choices.alpha)
    for column in range(4):
        step = torch.zeros(1, 4, dtype=torch.float64)
        step[0, column] = 1e-6
        alpha = choices.alpha.detach()
        slope = (sample.relaxed(alpha + step) - sample.relaxed(alpha - step))[0, picked] / 2e-6
        assert float(gradient[0, column]) == pytest.approx(float(slope), abs=1e-8)


def test_a_sample_is_active_only_while_the_mask_is_its_own() -> None:
    choices = table([[0.0, 0.0, 0.0, 0.0]], [4])
    sample = Sample.of(choices, 1, 1.0)
    assert not sample.is_active
    with choices.only(sample.mask):
        assert sample.is_active
        with choices.only(~sample.mask):
            assert not sample.is_active
    assert not sample.is_active
