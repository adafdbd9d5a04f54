from __future__ import annotations

import math
from random import Random
from types import SimpleNamespace

import pytest
from scipy.stats import spearmanr

from nasplug.report.estimates import describe_estimates, rank_correlation
from nasplug.values import Unit


def test_the_rank_correlation_is_spearmans_with_ties():
    generator = Random(0)
    for count in (3, 8, 30):
        pairs = [(float(generator.randrange(6)), float(generator.randrange(6))) for _ in range(count)]
        assert rank_correlation(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    assert rank_correlation([(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]) == 0
    assert math.isclose(rank_correlation([(1, 10), (2, 100), (3, 1000)]), 1)


def test_estimates_are_told_beside_measurements():
    networks = [
        SimpleNamespace(estimates={"latency": estimate}, costs={"latency": cost})
        for estimate, cost in ((0.2, 0.25), (0.3, 0.3), (0.45, 0.5))
    ]
    result = SimpleNamespace(units={"params": Unit(whole=True), "latency": Unit("s", prefix="m")}, networks=networks)
    (sentence,) = describe_estimates(result)
    assert "200 us for 250 us, 300 us for 300 us, 450 us for 500 us" in sentence
    assert "The median error of an estimate is 10 %; their rank correlation (Spearman) is 1.00." in sentence
    networks.pop()
    assert "Spearman" not in describe_estimates(result)[0]
    assert describe_estimates(SimpleNamespace(units=result.units, networks=[])) == []
