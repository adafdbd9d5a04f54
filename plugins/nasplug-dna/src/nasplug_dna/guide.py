"""The frozen network that guides the blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Network
from nasplug.values import ImageShape, MapShape

MODES = ("batch", "eval")

Features = Callable[[Tensor, int], Sequence[Tensor]]
"""From images and the number of a block to the network's features after that block, and after all before it."""


@attrs.frozen(eq=False)
class Guide:
    """Features of a network that does not learn; no part of any stage's state."""

    features: Features
    resolution: int = 0
    """Pixels to which images are resized for it; 0: none."""

    @torch.no_grad()
    def __call__(self, images: Tensor, last: int) -> Sequence[Tensor]:
        """The features (N, C, H, W) after blocks 0 to `last` at least, of images as the run normalises them."""
        if self.resolution and self.resolution != images.shape[-1]:
            images = F.interpolate(images, self.resolution, mode="bilinear", antialias=True)
        return self.features(images, last)

    def shapes(self, shape: ImageShape, blocks: int, device: torch.device) -> tuple[MapShape, ...]:
        """The shape of every feature, from two blank images; InputError if the network cannot read such images."""
        blank = torch.zeros(2, shape.channels, shape.size, shape.size, device=device)
        try:
            found = self(blank, blocks - 1)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise InputError(
                f"The teacher's network cannot read images of {self.resolution or shape.size} pixels "
                f"({str(error).partition(chr(10))[0]}); resize them for it, for example teacher.resolution=224."
            ) from error
        for number, each in enumerate(found):
            if each.dim() != 4:
                raise InputError(
                    f"Tap {number} of the teacher's network gives values of shape {tuple(each.shape)}, but a tap must "
                    f"give maps (images, channels, height, width); name other nodes as teacher.taps."
                )
        return tuple(MapShape(each.shape[1], each.shape[2]) for each in found)


def freeze(network: nn.Module, mode: str) -> None:
    """Keeps a network from learning, and from dropping anything.

    In the mode "batch" its batch norms use the statistics of each batch, as in DNA, and forget those that they
    learnt; in "eval" they use these.
    """
    network.requires_grad_(False).eval()
    if mode == "batch":
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean = module.running_var = None


def features_of(network: Network) -> Features:
    """Those of a network of a search space: its taps."""
    return lambda images, _: network.outputs(images).taps
