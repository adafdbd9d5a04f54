"""The frozen network whose features the blocks learn to reproduce."""

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
"""From images and the number of a block: the network's features after blocks 0 to this one, at least."""


@attrs.frozen(eq=False)
class FrozenTeacher:
    """Features of a network that does not learn. It is not part of any stage's state."""

    features: Features
    resolution: int = 0
    """Pixels to which images are resized for the network; 0: they are not resized."""

    @torch.no_grad()
    def __call__(self, images: Tensor, last: int) -> Sequence[Tensor]:
        """The features (N, C, H, W) after blocks 0 to `last` at least; `images` are normalised as in the run."""
        if self.resolution and self.resolution != images.shape[-1]:
            images = F.interpolate(images, self.resolution, mode="bilinear", antialias=True)
        return self.features(images, last)

    def shapes(self, shape: ImageShape, blocks: int, device: torch.device) -> tuple[MapShape, ...]:
        """The shape of every feature, from two blank images; InputError if the network cannot read such images."""
        blank = torch.zeros(2, shape.channels, shape.size, shape.size, device=device)
        try:
            features = self(blank, blocks - 1)
        except (RuntimeError, ValueError, AssertionError) as error:
            raise InputError(
                f"The teacher's network cannot read images of {self.resolution or shape.size} pixels "
                f"({str(error).partition(chr(10))[0]}); resize them for it, for example teacher.resolution=224."
            ) from error
        for number, feature in enumerate(features):
            if feature.dim() != 4:
                raise InputError(
                    f"Tap {number} of the teacher's network gives values of shape {tuple(feature.shape)}, but a tap "
                    f"must give maps (images, channels, height, width); name other nodes as teacher.taps."
                )
        return tuple(MapShape(feature.shape[1], feature.shape[2]) for feature in features)


def freeze(network: nn.Module, mode: str) -> None:
    """Freezes the parameters of a network, and puts it in eval mode.

    With the mode "batch" its batch norms use the statistics of each batch, as in DNA, and lose their running
    statistics; with "eval" they use their running statistics.
    """
    network.requires_grad_(False).eval()
    if mode == "batch":
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean = module.running_var = None


def tap_features(network: Network) -> Features:
    """The features of a network of a search space: its taps."""
    return lambda images, _: network.outputs(images).taps
