"""A small ResNet of one's own as a search space: the branch of each block is chosen by the search.

nasplug run --plugin examples/my_resnet.py --space my-resnet --method darts --budget params=10k
"""

from __future__ import annotations

from torch import Tensor, nn

from nasplug import Choose, space_from
from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Without bias, padded to keep the size of the map."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


class Block(nn.Module):
    """A residual block; its branch follows a batch norm and a ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        separable = nn.Sequential(convolution(width, width, groups=width), convolution(width, width, 1))
        plain = {"conv3x3": convolution(width, width), "conv1x1": convolution(width, width, 1)}
        self.branch = Choose({**plain, "separable": separable, "identity": nn.Identity()})

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.branch(self.before(x))


def my_resnet(image_channels: int, classes: int, channels: int = 8) -> nn.Sequential:
    """Three stages of two blocks; each begins with a convolution, which halves the maps of the second and third."""
    parts, before = list[nn.Module](), image_channels
    for width in (channels, 2 * channels, 4 * channels):
        first = convolution(before, width, stride=1 if width == channels else 2)
        parts.append(nn.Sequential(first, Block(width), Block(width)))
        before = width
    parts += [nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*parts)


MyResNet = space_from(my_resnet, name="my-resnet")


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the space by its import path."""
    register.space("my-resnet", "my_resnet:MyResNet", summary="A small ResNet whose branches are chosen.")
