from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.engine.norm_statistics import LARGEST_LAG, running_averages_lag


def test_running_averages_lag_where_their_mean_age_is_more_than_the_stated_share_of_the_training():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, momentum=0.2))  # 10 and 5 steps old
    assert LARGEST_LAG == 0.1
    assert running_averages_lag(net, 99)
    assert not running_averages_lag(net, 100)
    assert running_averages_lag(net, 100, decay=0.5)  # one step more
    assert not running_averages_lag(net, 110, decay=0.5)


def test_the_mean_age_is_that_of_the_batches_in_a_running_average():
    momentum, steps = 0.1, 400
    norm = nn.BatchNorm2d(1, momentum=momentum)
    ages = torch.arange(steps - 1, -1, -1, dtype=torch.float64)
    norm.double()
    for age in ages:  # batches whose mean is their age
        norm(age + torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1))
    assert float(norm.running_mean) == pytest.approx(1 / momentum - 1, rel=1e-9)  # from 0, where the weights are now


@pytest.mark.parametrize("momentum", [None, 0.0])
def test_averages_over_the_whole_training_always_lag(momentum):
    assert running_averages_lag(nn.BatchNorm2d(2, momentum=momentum), 10**9)


def test_without_running_averages_there_is_nothing_to_lag():
    assert not running_averages_lag(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2, track_running_stats=False)), 1)
