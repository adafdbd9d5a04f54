"""Between a block of the supernet and the teacher: maps brought to the channels and the size that the other has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Block
from nasplug.values import MapShape
from nasplug_dna.distance import Distance, widened

ADAPTORS = ("auto", "always", "never")


class Adaptor(nn.Module):
    """From maps of one shape to those of another.

    Larger maps are averaged down, smaller ones repeat the nearest value. Channels are mixed by a 1x1 convolution
    without bias (UniNAS), where there is one. It is applied to the smaller map, which for these ways to change the
    size is the same.
    """

    def __init__(self, source: MapShape, target: MapShape, convolution: bool) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.mix = nn.Conv2d(source.channels, target.channels, 1, bias=False) if convolution else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in the shape `source` to (N, C', H', W') in the shape `target`."""
        mixed: Tensor = self.mix(averaged(x, self.target.size))
        return mixed if mixed.shape[-1] == self.target.size else F.interpolate(mixed, self.target.size)


class Bridge(nn.Module):
    """What joins one block to the teacher: adaptors of all that the block reads, and of its output.

    The first block reads images, which need none. Where the block's output and the teacher's differ in size, they are
    compared at the smaller one.
    """

    def __init__(self, inputs: Sequence[Adaptor], output: Adaptor) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(inputs)
        self.output = output

    def enter(self, source: Tensor) -> tuple[Tensor, ...]:
        """All maps that the block reads, from one: the images, or what the block before it should give."""
        return tuple(adaptor(source) for adaptor in self.inputs) or (source,)

    def compare(self, output: Tensor, target: Tensor, distance: Distance) -> Tensor:
        """How far the block's output is from the teacher's, at least in float32, a scalar."""
        with torch.autocast(output.device.type, enabled=False):
            return distance(self.output(widened(output)), averaged(widened(target), self.output.target.size))


def build_bridge(number: int, block: Block, source: MapShape | None, target: MapShape, adaptors: str) -> Bridge:
    """The bridge of a block that reads maps of shape `source` (None: images) and learns to give those of `target`.

    `adaptors` is one of ADAPTORS. Raises InputError where there are to be none, but channels differ, and for a block
    that gives no maps.
    """
    if block.output is None:
        raise InputError(
            "The teacher 'blockwise' compares the maps that blocks give, but the supernet of this space is one block "
            "that gives logits; take a space of several blocks, such as mbconv."
        )

    def adaptor(inside: MapShape, outside: MapShape, place: str) -> Adaptor:
        differs = inside.channels != outside.channels
        if differs and adaptors == "never":
            raise InputError(
                f"With adaptors='never', supernet and teacher must be equally wide, but at the {place} of block "
                f"{number} {inside.channels} channels meet {outside.channels}; set teacher.adaptors=auto, or widths "
                f"that agree (teacher.channel_factor, or in the space mbconv space.match)."
            )
        return Adaptor(inside, outside, convolution=differs or adaptors == "always")

    met = MapShape(target.channels, min(block.output.size, target.size))
    inputs = () if source is None else tuple(adaptor(source, each, "input") for each in block.inputs)
    return Bridge(inputs, adaptor(block.output, met, "output"))


def averaged(x: Tensor, size: int) -> Tensor:
    """Maps averaged down to `size` x `size`; as they are if they are no larger."""
    return F.adaptive_avg_pool2d(x, size) if x.shape[-1] > size else x
