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
    found, expected = every_second(x, firsts), [sliced(x, first) for first in firsts]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(sum((each**3).sum() for each in found), x)
    (wanted,) = torch.autograd.grad(sum((each**3).sum() for each in expected), x)
    torch.testing.assert_close(gradient, wanted)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradgradcheck(lambda y: every_second(y, firsts), [x])
