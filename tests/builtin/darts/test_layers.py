"""Layers of stand-alone networks."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from nasplug.builtin.darts.layers import FactorizedReduce
from nasplug.supernets.convolution import drop_unread_edge

BACKWARD = """
import sys
import torch
from nasplug.builtin.darts.layers import FactorizedReduce
for inside, threads in ((2, 1), (4, 1), (7, 1), (2, 2)):
    print(inside, "channels,", threads, "threads", file=sys.stderr, flush=True)
    torch.set_num_threads(threads)
    layer = FactorizedReduce(inside, 4)
    for _ in range(3):
        images = torch.randn(2, inside, 512, 512).contiguous(memory_format=torch.channels_last)
        layer(images).sum().backward()
"""


def test_the_gradient_of_few_channels_writes_into_its_own_memory_alone():
    """On maps this large oneDNN's defect ends the process at once; without AVX2 this passes in any case."""
    done = subprocess.run([sys.executable, "-c", BACKWARD], check=False, timeout=60, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("inside", [1, 2, 7, 16])
def test_halving_reads_every_second_pixel(inside, size):
    torch.manual_seed(0)
    layer = FactorizedReduce(inside, 6).double()
    images = torch.randn(3, inside, size, size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    inputs = (images.requires_grad_(), *layer.parameters())
    padded = F.pad(F.relu(images), (0, size % 2, 0, size % 2))
    kernels = (layer.even.weight[:, :, 0, 0], layer.odd.weight[:, :, 0, 0])
    halves = [
        torch.einsum("oi,nihw->nohw", kernel, padded[:, :, first::2, first::2]) for first, kernel in enumerate(kernels)
    ]
    expected, actual = layer.norm(torch.cat(halves, 1)), layer(images)
    torch.testing.assert_close(actual, expected)
    slopes = torch.randn_like(actual)
    torch.testing.assert_close(
        torch.autograd.grad(actual, inputs, slopes), torch.autograd.grad(expected, inputs, slopes)
    )


def test_wide_maps_odd_maps_and_maps_without_gradients_are_left_alone():
    weight = torch.ones(2, 4, 1, 1, requires_grad=True)
    for shape in ((2, 16, 8, 8), (2, 4, 7, 8), (2, 4, 8, 7)):
        images = torch.randn(shape)
        assert drop_unread_edge(images, weight) is images
    images = torch.randn(2, 4, 8, 8)
    assert drop_unread_edge(images, weight).shape == (2, 4, 7, 7)
    assert drop_unread_edge(images, weight.detach()) is images
    with torch.no_grad():
        assert drop_unread_edge(images, weight) is images
