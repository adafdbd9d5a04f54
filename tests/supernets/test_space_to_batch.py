from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nasplug.supernets.space_to_batch import every_second


def sliced(x, first):
    height, width = x.shape[2:]
    padded = F.pad(x, (0, 1, 0, 1))
    return padded[:, :, first : height + first : 2, first : width + first : 2]


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 2), (4, 4), (5, 4)])
@pytest.mark.parametrize("firsts", [(0,), (1,), (0, 1)])
def test_every_second_pixel_and_its_gradients(firsts, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    maps, expected = every_second(x, firsts), [sliced(x, first) for first in firsts]
    for map_, expected_map in zip(maps, expected, strict=True):
        assert torch.equal(map_, expected_map)
        assert map_.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(sum((part**3).sum() for part in maps), x)
    (expected_gradient,) = torch.autograd.grad(sum((part**3).sum() for part in expected), x)
    torch.testing.assert_close(gradient, expected_gradient)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradgradcheck(lambda y: every_second(y, firsts), [x])
