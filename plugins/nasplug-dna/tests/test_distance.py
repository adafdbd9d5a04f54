from __future__ import annotations

import math

import pytest
import torch
from nasplug_dna.distance import LOSSES, RATINGS, l1_over_mean, mse, mse_over_variance, relative_l1, to_at_least_float32

OURS = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]]]], dtype=torch.float64)
THEIRS = torch.tensor([[[[0.0, 2.0], [-2.0, 4.0]]]], dtype=torch.float64)
VARIANCE = (0 + 4 + 4 + 16) / 4 - 1  # the mean of theirs is 1


def test_distances_by_hand() -> None:
    assert mse(OURS, THEIRS).item() == pytest.approx((1 + 4) / 4, rel=1e-8)
    assert mse_over_variance(OURS, THEIRS).item() == pytest.approx(5 / 4 / VARIANCE, rel=1e-8)
    assert relative_l1(OURS, THEIRS).item() == pytest.approx((1 + 2) / 4 / math.sqrt(VARIANCE), rel=1e-8)
    assert l1_over_mean(OURS, THEIRS).item() == pytest.approx((1 + 2) / (2 + 2 + 4), rel=1e-8)


def test_ratings_have_no_scale() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.randn(2, 3, 4, 5, 5, dtype=torch.float64)
    for name, distance in RATINGS.items():
        ratio = distance(7 * ours, 7 * theirs) / distance(ours, theirs)
        assert ratio.item() == pytest.approx(49 if name == "mse" else 1, rel=1e-6)
    assert set(LOSSES) < set(RATINGS)


def test_a_constant_target_gives_finite_distances() -> None:
    for distance in RATINGS.values():
        assert math.isfinite(distance(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)).item())


def test_widening_never_narrows() -> None:
    assert to_at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert to_at_least_float32(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
