"""The frozen network whose features the blocks learn to reproduce."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Network, key_of
from nasplug.supernets.normalise import measure_statistics
from nasplug.values import ImageShape, MapShape

MODES = ("batch", "measured", "eval")
BatchNorm = nn.modules.batchnorm._BatchNorm
Statistics = Sequence[tuple[Tensor, Tensor]]
"""Mean and variance, (channels,) each, of some batch norms."""

Features = Callable[[Tensor, int], Sequence[Tensor]]
"""From images and the number of a block: the network's features after blocks 0 to this one, at least."""


def _unknown() -> None:
    return None


@attrs.frozen(eq=False)
class FrozenTeacher:
    """Features of a network that does not learn. It is not part of any stage's state."""

    features: Features
    resolution: int = 0
    """Pixels to which images are resized for the network; 0: they are not resized."""
    measured_norms: Sequence[BatchNorm] = ()
    """The batch norms for which `measure` measures statistics; they have none of their own."""
    graph_key: Callable[[], Hashable | None] = _unknown
    """What else the operations of `features` depend on; gives None where that is unknown. See `Network.graph_key`."""

    @torch.no_grad()
    def __call__(self, images: Tensor, last: int, statistics: Statistics = ()) -> Sequence[Tensor]:
        """The features (N, C, H, W) after blocks 0 to `last` at least; `images` are normalised as in the run.

        With `statistics`, those that `measure` returned, the measured norms use them instead of the batch's.
        """
        if self.resolution and self.resolution != images.shape[-1]:
            images = F.interpolate(images, self.resolution, mode="bilinear", antialias=True)
        with self._normalising_by(statistics):
            return self.features(images, last)

    def measure(self, batches: Sequence[Tensor], last: int) -> tuple[Sequence[Sequence[Tensor]], Statistics]:
        """The features of every batch, normalised by its own statistics, and the means of these statistics."""
        like = batches[0]
        blank = [(like.new_zeros(norm.num_features), like.new_ones(norm.num_features)) for norm in self.measured_norms]
        with self._normalising_by(blank), measure_statistics(self.measured_norms):
            return [self(images, last) for images in batches], blank  # which the norms have filled

    @contextmanager
    def _normalising_by(self, statistics: Statistics) -> Iterator[None]:
        pairs = list(zip(self.measured_norms, statistics, strict=True)) if statistics else []
        for norm, (mean, var) in pairs:
            norm.running_mean, norm.running_var = mean, var
        try:
            yield
        finally:
            for norm, _ in pairs:
                norm.running_mean = norm.running_var = None

    def shapes(self, shape: ImageShape, blocks: int, device: torch.device) -> tuple[MapShape, ...]:
        """The shape of every feature, from two blank images; InputError if the network cannot read such images."""
        blank = torch.zeros(2, *shape.tensor_shape, device=device)
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
        return tuple(MapShape(feature.shape[1], feature.shape[3], shape.dims) for feature in features)


def freeze(network: nn.Module, mode: str) -> Sequence[BatchNorm]:
    """Freezes the parameters of a network, puts it in eval mode, and returns the batch norms that are to be measured.

    With the mode "eval" its batch norms use their running statistics. With "batch" they lose these and use the
    statistics of each batch; so they do with "measured", but in rating they use statistics measured on training images.
    """
    network.requires_grad_(False).eval()
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    if mode == "eval":
        return ()
    for norm in norms:
        norm.running_mean = norm.running_var = None
    return norms if mode == "measured" else ()


def tap_features(network: Network) -> Features:
    """The features of a network of a search space: its taps."""
    return lambda images, _: network.outputs(images).taps


def tap_key(network: Network) -> Callable[[], Hashable | None]:
    """What the operations of `tap_features` depend on."""
    return lambda: key_of(network, methods=("outputs",))
