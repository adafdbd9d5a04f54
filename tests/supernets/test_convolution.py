from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nasplug.supernets import depthwise, pointwise
from nasplug.supernets.convolution import _Depthwise, remove_idle_taps


def maps(*shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def gradients(y, *inputs):
    return torch.autograd.grad((y * torch.linspace(1, 2, y.numel(), dtype=y.dtype).view(y.shape)).sum(), inputs)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (4, 4), (2, 2), (1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_depthwise_is_the_grouped_convolution(kernel, stride, dilation, size):
    x, weight = maps(3, 4, *size), maps(4, 1, kernel, kernel)
    expected = F.conv2d(x, weight, None, stride, dilation * (kernel // 2), dilation, groups=4)
    result = depthwise(x, weight, stride, dilation)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    for gradient, expected_gradient in zip(gradients(result, x, weight), gradients(expected, x, weight), strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("stride", "dilation", "shape"), [(1, 2, (1, 2, 4, 3)), (1, 2, (1, 1, 10, 10)), (2, 1, (1, 1, 7, 6))]
)
def test_gradients_of_the_depthwise_convolution_are_its_derivatives_twice(stride, dilation, shape):
    def convolve_depthwise(x, weight):
        return _Depthwise.apply(x, weight, stride, dilation)

    inputs = (maps(*shape), maps(shape[1], 1, 5, 5 if shape[1] == 1 else 3))
    torch.autograd.gradcheck(convolve_depthwise, inputs)
    torch.autograd.gradgradcheck(convolve_depthwise, inputs)


def test_taps_that_see_only_padding_are_cut():
    weight = torch.arange(25.0).view(1, 1, 5, 5)
    assert remove_idle_taps(weight, 4, 2, dilation=2).tolist() == [[[[7.0], [12.0], [17.0]]]]
    assert remove_idle_taps(weight, 5, 5, dilation=2) is not None
    assert remove_idle_taps(weight, 5, 5, dilation=2).shape == (1, 1, 5, 5)


def test_only_the_gradients_asked_for_are_computed():
    x, weight = maps(2, 3, 6, 6).detach(), maps(3, 1, 3, 3)
    (gradient,) = torch.autograd.grad(depthwise(x, weight, dilation=2).sum(), [weight])
    (expected,) = torch.autograd.grad(F.conv2d(x, weight, None, 1, 2, 2, groups=3).sum(), [weight])
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("groups", [1, 2])
def test_pointwise_is_the_1x1_convolution(groups):
    x, weight = maps(2, 6, 5, 3), maps(4, 6 // groups, 1, 1)
    expected, result = F.conv2d(x, weight, groups=groups), pointwise(x, weight, groups)
    torch.testing.assert_close(result, expected)
    assert result.is_contiguous(memory_format=torch.channels_last)
    for gradient, expected_gradient in zip(gradients(result, x, weight), gradients(expected, x, weight), strict=True):
        torch.testing.assert_close(gradient, expected_gradient)
