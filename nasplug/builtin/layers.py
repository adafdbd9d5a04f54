"""What networks of several spaces have in common: convolutions, drop path, sizes of maps and widths, costs."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor, nn

from nasplug.supernets import depthwise, pointwise
from nasplug.supernets.convolution import is_symbolic, uses_torch_kernels
from nasplug.supernets.synchronised_norms import norms_are_synchronised
from nasplug.values import Costs, MapShape, sides

STEMS = ("auto", "imagenet", "small")
"""What the stem of a network does: halve the images, keep their size, or, by default, what suits their size."""
IMAGENET_FROM = 64
"""Images of at least this many pixels are halved by the stem "auto"."""


class Depthwise(nn.Conv2d):
    """A depthwise convolution padded to keep the size of the map (halved by stride 2), with the fast kernels.

    What torch.fx records is torch's own convolution: its graphs are for other programs, quantisation for instance.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1, dims: int = 2) -> None:
        shape = sides(kernel, dims)
        padding = (dilation * (shape[0] // 2), dilation * (shape[1] // 2))
        super().__init__(channels, channels, shape, stride, padding, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), as `nn.Conv2d`."""
        if is_symbolic(x):
            return super().forward(x)
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])


class Convolution(nn.Conv2d):
    """A convolution without bias, unless asked for, padded to keep the size of the map (halved by stride 2).

    For signals (`dims` 1) its kernel has one row.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, dims: int, bias: bool = False
    ) -> None:
        shape = sides(kernel, dims)
        super().__init__(in_channels, out_channels, shape, stride, (shape[0] // 2, shape[1] // 2), bias=bias)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution without bias, with the fast kernel; torch.fx records torch's own."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W), as `nn.Conv2d`."""
        return super().forward(x) if is_symbolic(x) else pointwise(x, self.weight)


def pool_arguments(stride: int, dims: int) -> dict[str, Any]:
    """What pools over 3x3 pixels, or 3 samples of a signal, are called with, as modules or as functions."""
    shape = sides(3, dims)
    return {"kernel_size": shape, "stride": stride, "padding": (shape[0] // 2, shape[1] // 2)}


def trains_on_cpu(module: nn.Module, x: Tensor) -> bool:
    """Whether a layer may compute in its own way what its torch modules compute one by one.

    Only where that is faster, in training on a CPU: graphs that other programs read hold the modules, and evaluation
    computes what is exported.
    """
    if is_symbolic(x) or not module.training or torch.compiler.is_compiling() or norms_are_synchronised():
        return False
    return not uses_torch_kernels(x) and x.dtype in (torch.float32, torch.float64)


def half_size(size: int) -> int:
    """The side of a map of `size` pixels after any operation of stride 2."""
    return (size + 1) // 2


@attrs.frozen
class LayerShape:
    """One layer, whatever its operation: its channels, its stride, and the side of the map that it reads."""

    in_channels: int
    out_channels: int
    stride: int
    size: int
    dims: int = attrs.field(default=2, kw_only=True)
    """2 for images, 1 for signals."""

    @property
    def out_size(self) -> int:
        """Side of the map that it gives."""
        return half_size(self.size) if self.stride == 2 else self.size

    @property
    def input(self) -> MapShape:
        """The maps that it reads."""
        return MapShape(self.in_channels, self.size, self.dims)

    @property
    def output(self) -> MapShape:
        """The maps that it gives."""
        return MapShape(self.out_channels, self.out_size, self.dims)


def stem_stride(stem: str, size: int) -> int:
    """The stride of the stem of this name, one of STEMS, for images of `size` pixels."""
    return 2 if stem == "imagenet" or (stem == "auto" and size >= IMAGENET_FROM) else 1


def round_width(exact: float, coarsest: int) -> int:
    """A number of channels near `exact`, at least 1.

    A multiple of `coarsest` from 32 on, of 2 from 8 on, and any whole number below.
    """
    unit = coarsest if exact >= 32 else 2 if exact >= 8 else 1
    return max(1, unit * int(exact / unit + 0.5))


def convolution_cost(weights: int, pixels: int, norm_channels: int = 0) -> Costs:
    """Convolutions without bias, followed by affine batch norms.

    `weights` counts their weights, `pixels` those of the map that they give, `norm_channels` the channels of the batch
    norms. Multiply-accumulates of batch norms are not counted.
    """
    return Costs(params=weights + 2 * norm_channels, macs=weights * pixels)


def linear_cost(in_features: int, out_features: int) -> Costs:
    """A linear layer with bias; the additions of the bias are not counted."""
    return Costs(params=(in_features + 1) * out_features, macs=in_features * out_features)


def initialise_weights(net: nn.Module) -> None:
    """The initial weights of ResNet and MobileNetV2: normal, of variance 2 over the fan-out (He et al., ICCV 2015).

    The fan-out of a depthwise convolution counts all its channels. Biases of convolutions are zero, and all else has
    torch's initial values.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
