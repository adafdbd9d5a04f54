from __future__ import annotations

import numpy as np
import pytest

from nasplug.supernets import dominance
from nasplug.supernets.dominance import are_dominated, find_undominated


def at_most(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[i, j]: whether point i of `values` is at most as large as point j of `others` in every measure."""
    return (values[:, :, None] <= others[:, None, :]).all(0)


@pytest.mark.parametrize("pairs", [1 << 14, 1])
@pytest.mark.parametrize("distinct", [2, 3, 40, 100_000])
@pytest.mark.parametrize("measures", [0, 1, 2, 3, 4, 5])
def test_undominated_points_of_long_lists(measures, distinct, pairs, monkeypatch):
    monkeypatch.setattr(dominance, "PAIRS", pairs)
    generator = np.random.default_rng([measures, distinct])
    for count in (0, 1, 64, 65, 700):
        values = generator.integers(0, distinct, (measures, count)).astype(float)
        dominated = np.triu(at_most(values, values), 1).any(0)
        assert find_undominated(values).tolist() == np.flatnonzero(~dominated).tolist()


@pytest.mark.parametrize("pairs", [1 << 14, 1])
@pytest.mark.parametrize("distinct", [1, 2, 5, 1000])
@pytest.mark.parametrize("measures", [0, 1, 2, 3, 4])
def test_points_that_others_dominate(measures, distinct, pairs, monkeypatch):
    monkeypatch.setattr(dominance, "PAIRS", pairs)
    generator = np.random.default_rng([measures, distinct])
    for count, others in ((0, 5), (5, 0), (1, 1), (200, 7), (7, 200), (150, 150)):
        points = generator.integers(0, distinct, (measures, count)).astype(float)
        by = generator.integers(0, distinct, (measures, others)).astype(float)
        assert are_dominated(points, by).tolist() == at_most(by, points).any(0).tolist()


def test_measures_that_are_the_same_everywhere_or_infinite_end_the_division():
    same = np.full((4, 500), np.inf)
    assert find_undominated(same).tolist() == [0]
    falling = np.stack([np.full(500, 3.0), np.arange(500.0), -np.arange(500.0), np.full(500, -np.inf)])
    assert find_undominated(falling).tolist() == list(range(500))
