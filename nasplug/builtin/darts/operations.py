"""The operations of stand-alone networks, and the layers that supernets share with them (DARTS, cnn/operations.py)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.names import DILATED, FACTORISED, POOLS, SEPARABLE, SKIP
from nasplug.supernets import depthwise, pointwise


class ReluConvNorm(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm: what brings an input of a cell to the channels of its nodes."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(nn.ReLU(), Pointwise(inside, outside), nn.BatchNorm2d(outside))


class FactorizedReduce(nn.Module):
    """Halves the map by two 1x1 convolutions of stride 2, the second on the input shifted by one pixel.

    A map of odd size is padded by zeros at its end, so that both halves agree; maps of even size are read as in DARTS.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inside, outside // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inside, outside - outside // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outside, ceil(H / 2), ceil(W / 2))."""
        x = F.relu(x)
        normed: Tensor = self.norm(torch.cat((self.even(drop_unread_edge(x)), self.odd(shifted(x))), 1))
        return normed


def drop_unread_edge(x: Tensor) -> Tensor:
    """The map without the last row and column where oneDNN would otherwise write outside its memory, else `x` itself.

    A 1x1 convolution of stride 2 reads neither of them on a map of even size, so its result keeps every bit. oneDNN's
    gradient of such a kernel (`jit_1x1`, layout channels_last) addresses its workspace as if pixels had one block of
    channels, 8 with AVX2 and 16 with AVX-512, but takes memory for the channels there are: with fewer channels than a
    block it corrupts the heap (https://github.com/uxlfoundation/oneDNN/issues/6035; seen in torch 2.11 and 2.15). It
    copies to this workspace only if the size of the map is exactly twice that of the result, which the cropped map's
    is not. Wider maps are left alone: on them the other way would sum the kernel's gradient in another order.
    """
    block = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
    height, width = x.shape[2:]
    if x.device.type != "cpu" or x.shape[1] >= block or height % 2 or width % 2 or not torch.is_grad_enabled():
        return x
    return x[:, :, :-1, :-1]


def shifted(x: Tensor) -> Tensor:
    """The map without its first row and column, padded so that each second pixel gives as many as before the shift."""
    height, width = x.shape[2:]
    padded = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
    return padded[:, :, 1:, 1:]


class Depthwise(nn.Conv2d):
    """A depthwise convolution that keeps the map (or halves it), computed the fast way."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), as `nn.Conv2d`."""
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without bias, computed the fast way."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) to (N, outside, H, W), as `nn.Conv2d`."""
        return pointwise(x, self.weight)


def separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        Depthwise(channels, kernel, stride, dilation),
        Pointwise(channels, channels),
        nn.BatchNorm2d(channels),
    )


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation of a stand-alone network: affine batch norms, pools without any."""
    if name == SKIP:
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name in POOLS:
        if name == "max_pool_3x3":
            return nn.MaxPool2d(3, stride, padding=1)
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if name in DILATED:
        return separable(channels, DILATED[name], stride, dilation=2)
    if name == FACTORISED:
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
            nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
            nn.BatchNorm2d(channels),
        )
    kernel = SEPARABLE[name]
    return nn.Sequential(separable(channels, kernel, stride), separable(channels, kernel, 1))
