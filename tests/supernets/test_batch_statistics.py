from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.supernets import batch_statistics
from nasplug.supernets.concatenate import concatenate
from nasplug.supernets.normalise import train_norms


@pytest.fixture(params=[True, False], ids=["pixels together", "pixel by pixel"])
def together(request, monkeypatch):
    monkeypatch.setattr(batch_statistics, "MANY_PIXELS", 1 if request.param else 1 << 40)
    return request.param


@pytest.mark.parametrize("shape", [(4, 3, 5, 8), (3, 8, 4, 4), (1, 2, 1, 2), (2, 40, 2, 2), (3, 5, 3, 3)])
def test_results_averages_and_gradients_are_those_of_torch(shape, together):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=torch.channels_last) * 3 + 5
    x.requires_grad_()
    norms = [nn.BatchNorm2d(shape[1], momentum=momentum).double() for momentum in (0.3, 0.3)]
    for norm in norms:
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    result, expected = train_norms(norms[:1], x), norms[1](x)
    assert batch_statistics.takes_pixels_together(x) == (together and shape[1] <= 16 and x[:, 0].numel() % 2 == 0)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(norms[0].buffers(), norms[1].buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    found, wanted = (
        torch.autograd.grad(y.pow(3).sum(), [x, norm.weight, norm.bias])
        for y, norm in zip((result, expected), norms, strict=True)
    )
    for gradient, expected_gradient in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-8)


def test_several_norms_side_by_side_are_each_of_them_alone():
    torch.manual_seed(0)
    x = torch.randn(4, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    together, alone = ([nn.BatchNorm2d(2).double(), nn.BatchNorm2d(4).double()] for _ in range(2))
    expected = torch.cat([norm(part) for norm, part in zip(alone, x.split([2, 4], 1), strict=True)], 1)
    torch.testing.assert_close(train_norms(together, x), expected)
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert torch.autograd.gradcheck(lambda y: train_norms(together, y), [x])
    assert torch.autograd.gradgradcheck(lambda y: train_norms(together, y), [x])


def test_the_mean_over_all_batches_is_kept_where_there_is_no_momentum():
    torch.manual_seed(0)
    ours, theirs = ([nn.BatchNorm2d(2, momentum=None) for _ in range(2)] for _ in range(2))
    for _ in range(3):
        x = torch.randn(4, 4, 3, 3)
        train_norms(ours, x)
        for norm, part in zip(theirs, x.chunk(2, 1), strict=True):
            norm(part)
    torch.testing.assert_close(ours[1].running_mean, theirs[1].running_mean)
    torch.testing.assert_close(ours[1].running_var, theirs[1].running_var)


def test_concatenated_maps_have_dense_channels_last_gradients():
    maps = [torch.randn(2, channels, 3, 3, requires_grad=True) for channels in (1, 4)]
    result = concatenate(maps)
    assert torch.equal(result, torch.cat(maps, 1))
    gradients = torch.autograd.grad(result.square().sum(), maps)
    for map_, gradient in zip(maps, gradients, strict=True):
        torch.testing.assert_close(gradient, 2 * map_)
        assert gradient.is_contiguous(memory_format=torch.channels_last)
