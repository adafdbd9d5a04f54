"""What happens to signals between their file and a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.augment import add_noise, augment, cut_out, normalize, shift_signals
from nasplug.data.images import MemoryImages
from nasplug.data.statistics import mean_and_std
from nasplug.data.survey import survey


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shifted_by_hand(signal: torch.Tensor, offset: int) -> torch.Tensor:
    """A signal (C, L) moved to the right by `offset`, its outermost values going on."""
    length = signal.shape[1]
    return torch.stack([signal[:, min(max(place - offset, 0), length - 1)] for place in range(length)], 1)


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
def test_shifts_equal_one_signal_at_a_time(kind):
    signal = torch.arange(1, 15).reshape(2, 7).to(kind)
    expected = {offset: shifted_by_hand(signal, offset) for offset in range(-2, 3)}
    seen = set()
    for result in shift_signals(signal[:, None].repeat(200, 1, 1, 1), seeded(), shift=2):
        matches = [offset for offset, each in expected.items() if torch.equal(each, result[:, 0])]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(expected)


def test_standard_augmentation_of_signals_is_a_shift_and_nothing_else():
    signals = torch.randn(5, 2, 1, 9, generator=seeded())
    found = augment(signals, seeded(1), "standard", flips=True, shift=3, dims=1)
    assert torch.equal(found, shift_signals(signals, seeded(1), shift=3))
    assert torch.equal(augment(signals, seeded(1), "standard", flips=True, shift=0, dims=1), signals)
    assert augment(signals, seeded(1), "none", flips=True, shift=3, dims=1) is signals


def test_cutout_of_signals_is_a_gap_of_so_many_samples():
    found = cut_out(torch.ones(200, 2, 1, 9), 4, seeded())
    zeros = (found == 0).all(1)[:, 0]
    assert set(zeros.sum(1).tolist()) == {2, 3, 4}  # part of the gap may lie outside
    assert all(np.diff(np.flatnonzero(row)).max(initial=1) == 1 for row in zeros.numpy())


def test_noise_has_its_standard_deviation():
    images = torch.zeros(64, 2, 8, 8)
    noise = add_noise(images, 0.5, seeded())
    assert noise.std().item() == pytest.approx(0.5, rel=0.03)
    assert torch.equal(noise, add_noise(images, 0.5, seeded()))
    assert not images.any()


def test_floats_are_normalised_on_their_own_scale():
    values = np.random.default_rng(0).normal(1000.0, 3.0, (50, 2, 1, 16)).astype(np.float32)
    signals = MemoryImages(torch.from_numpy(values), np.zeros(50, np.int64))
    mean, std = mean_and_std(signals, np.arange(10, 50))
    exact = values[10:].astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, exact.std((0, 2, 3)), rtol=1e-6)
    before = signals.pixels.clone()
    found = normalize(signals.pixels, torch.tensor(mean), torch.tensor(std))
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(2), atol=0.1, rtol=0)
    assert torch.equal(signals.pixels, before)  # the signals themselves stay as they are


def test_a_constant_channel_of_floats_becomes_zero():
    signals = MemoryImages(torch.full((4, 1, 1, 8), 0.1), np.zeros(4, np.int64))
    mean, std = mean_and_std(signals, np.arange(4))
    assert std == (1.0,)
    assert normalize(signals.pixels, torch.tensor(mean), torch.tensor(std)).abs().max() < 1e-6


def test_signals_have_no_thumbnails():
    signals = MemoryImages(torch.randn(4, 1, 1, 64, generator=seeded()), np.zeros(4, np.int64))
    assert survey(signals, with_thumbnails=True).thumbnails is None
