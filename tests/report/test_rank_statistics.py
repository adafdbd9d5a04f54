from __future__ import annotations

import math
from itertools import combinations, permutations, product
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nasplug.report.rank_statistics import estimate, expected_least, kendall, regret, spearman

GENERATOR = np.random.default_rng(3)
TIED = [GENERATOR.integers(0, 6, (2, 12)).astype(float) for _ in range(20)]


def test_tau_counts_pairs():
    scores, errors = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 0.3, 0.2, 0.4])
    # Of six pairs, one is discordant: (2, 3).
    assert kendall(scores, errors) == pytest.approx((5 - 1) / 6)
    assert kendall(scores, -errors) == pytest.approx(-4 / 6)
    assert kendall(scores, scores**3) == 1


@pytest.mark.parametrize("pair", TIED)
def test_tau_and_spearman_with_ties_are_those_of_the_definition(pair):
    first, second = pair
    pairs = list(combinations(range(len(first)), 2))
    signs = [(np.sign(first[i] - first[j]), np.sign(second[i] - second[j])) for i, j in pairs]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    assert kendall(first, second) == pytest.approx(sum(a * b for a, b in signs) / math.sqrt(untied[0] * untied[1]))
    assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_spearman_of_ranks_without_ties_is_the_formula_of_squared_differences():
    ranks = np.array([3.0, 1.0, 4.0, 2.0, 5.0])
    squared = np.square(np.arange(1, 6) - ranks).sum()
    assert spearman(np.arange(1, 6) * 1.0, 10**ranks) == pytest.approx(1 - 6 * squared / (5 * 24))


def test_where_one_side_is_constant_there_is_no_correlation_and_no_interval():
    assert math.isnan(kendall(np.ones(5), np.arange(5.0)))
    assert math.isnan(spearman(np.arange(5.0), np.ones(5)))
    assert estimate(kendall, [1, 1, 1], [1, 2, 3]) is None


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_expected_minimum_is_the_mean_over_all_draws(count):
    values = np.array([0.4, 0.1, 0.1, 0.7, 0.3, 0.9])
    assert expected_least(values, count) == pytest.approx(fmean(min(draw) for draw in combinations(values, count)))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("scores", [[1, 2, 3, 4, 5], [2, 2, 1, 2, 3], [1, 1, 1, 1, 1], [3, 1, 1, 2, 2]])
def test_regret_is_the_mean_over_all_ways_to_break_ties(scores, count):
    errors = np.array([0.3, 0.2, 0.5, 0.1, 0.4])
    losses = []
    for order in permutations(range(5)):  # a random priority among those that tie
        best = sorted(range(5), key=lambda place: (scores[place], order[place]))[:count]
        losses.append(min(errors[best]) - min(errors))
    assert regret(count)(np.array(scores, dtype=float), errors) == pytest.approx(fmean(losses))


def test_the_interval_cuts_off_the_tails_of_all_samples():
    scores, errors = [1.0, 2.0, 3.0, 4.0, 5.0], [0.2, 0.1, 0.5, 0.3, 0.6]
    found = estimate(spearman, scores, errors)
    assert found == estimate(spearman, scores, errors)
    assert found.value == pytest.approx(spearmanr(scores, errors).statistic)

    drawn = [list(sample) for sample in product(range(5), repeat=5)]  # all that the bootstrap can draw
    values = np.array([spearman(np.array(scores)[sample], np.array(errors)[sample]) for sample in drawn])
    values = values[~np.isnan(values)]
    low, high = found.interval
    assert (values < low - 1e-9).mean() <= 0.035
    assert 0.015 <= (values <= low + 1e-9).mean() < 0.2
    assert (values > high + 1e-9).mean() <= 0.035
    assert (values >= high - 1e-9).mean() >= 0.015


def test_the_interval_of_a_sure_order_is_narrow_and_that_of_noise_holds_zero():
    scores = np.arange(40.0)
    sure = estimate(kendall, scores, scores**2)
    assert sure.interval == (1, 1)
    errors = np.random.default_rng(0).normal(size=40)
    noise = estimate(kendall, scores, errors)
    assert noise.interval != estimate(kendall, scores, errors, seed=1).interval
    assert noise.interval[0] < 0 < noise.interval[1]
