"""A network for images that are normalised or sized otherwise than those that it reads."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.parts import Network, Outputs, key_of
from nasplug.values import ImageShape


class ConvertedInput(Network):
    """`net`, which reads images of the shape `read`, as a network for images of the shape `given`.

    Images are resized (bilinear, with antialiasing) where the two shapes say so, and normalised by `read.mean` and
    `read.std` instead of those of `given`, unless these are empty. A single channel is repeated where `read` has
    several.
    """

    static_graph = True

    scale: Tensor
    shift: Tensor

    def __init__(self, net: Network, given: ImageShape, read: ImageShape) -> None:
        super().__init__()
        self.net = net
        self.given, self.read = given, read
        mean, std = _as_maps(given.mean or (0.0,)), _as_maps(given.std or (1.0,))
        net_mean, net_std = (_as_maps(read.mean), _as_maps(read.std)) if read.mean else (mean, std)
        for name, value in (("scale", std / net_std), ("shift", (mean - net_mean) / net_std)):
            self.register_buffer(name, value.float().expand(read.channels, 1, 1).contiguous(), persistent=False)

    def outputs(self, images: Tensor) -> Outputs:
        """What the network gives for the same images as it reads them; taps are in its own resolution."""
        if self.given.size != self.read.size:
            images = F.interpolate(images, self.read.tensor_shape[1:], mode="bilinear", antialias=True)
        return self.net.outputs(images * self.scale + self.shift)

    def graph_key(self) -> Hashable | None:
        """That of the network."""
        return key_of(self.net, methods=("outputs",))


def convert_input(net: Network, given: ImageShape, read: ImageShape) -> Network:
    """`net`, which reads images of the shape `read`, for images of the shape `given`; itself where they agree."""
    same = all(getattr(given, name) == getattr(read, name) for name in ("channels", "size", "mean", "std"))
    return net if same else ConvertedInput(net, given, read)


def _as_maps(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
