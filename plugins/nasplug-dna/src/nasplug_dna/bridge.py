"""What joins a block of the supernet to the teacher: adaptors that match channels and size of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Block
from nasplug.values import MapShape
from nasplug_dna.distance import Distance, to_at_least_float32

ADAPTORS = ("auto", "always", "never")


class Adaptor(nn.Module):
    """Converts maps of one shape to another.

    Larger maps are averaged down, smaller ones are enlarged by repeating the nearest value. Channels are converted by
    a 1x1 convolution without bias (UniNAS), if `convolution` is true. It is applied at the smaller of the two sizes,
    which gives the same result as at the larger one.
    """

    def __init__(self, source: MapShape, target: MapShape, convolution: bool) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.mix = nn.Conv2d(source.channels, target.channels, 1, bias=False) if convolution else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) of the shape `source` to (N, C', H', W') of the shape `target`."""
        mixed: Tensor = self.mix(average_down(x, self.target.size))
        return mixed if mixed.shape[-1] == self.target.size else F.interpolate(mixed, self.target.tensor_shape[1:])


class Bridge(nn.Module):
    """The adaptors of one block: one for each map that the block reads, and one for its output.

    The first block reads images, which need no adaptor. Where the block's output and the teacher's differ in size, they
    are compared at the smaller size.
    """

    def __init__(self, inputs: Sequence[Adaptor], output: Adaptor) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(inputs)
        self.output = output

    def enter(self, source: Tensor) -> tuple[Tensor, ...]:
        """All maps that the block reads, from one source: the images, or the output of the previous block."""
        return tuple(adaptor(source) for adaptor in self.inputs) or (source,)

    def compare(self, output: Tensor, target: Tensor, distance: Distance) -> Tensor:
        """The distance of the block's output from the teacher's `target`, computed in at least float32; a scalar."""
        with torch.autocast(output.device.type, enabled=False):
            return distance(
                self.output(to_at_least_float32(output)),
                average_down(to_at_least_float32(target), self.output.target.size),
            )


def build_bridge(number: int, block: Block, source: MapShape | None, target: MapShape, adaptors: str) -> Bridge:
    """The bridge of a block that reads maps of shape `source` (None: images) and learns to give maps of shape `target`.

    `adaptors` is one of ADAPTORS. Raises InputError for adaptors="never" where channels differ, and for a block whose
    output is no map.
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

    compared = MapShape(target.channels, min(block.output.size, target.size), target.dims)
    inputs = () if source is None else tuple(adaptor(source, maps, "input") for maps in block.inputs)
    return Bridge(inputs, adaptor(block.output, compared, "output"))


def average_down(x: Tensor, size: int) -> Tensor:
    """Maps (N, C, H, W) averaged down to (N, C, size, size), those of signals, of one row, to (N, C, 1, size).

    Unchanged if they are no larger.
    """
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], size), size)) if x.shape[-1] > size else x
