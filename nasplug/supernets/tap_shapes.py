"""The feature maps at which networks are compared."""

from __future__ import annotations

import torch

from nasplug.parts import Network
from nasplug.values import ImageShape, MapShape


def tap_shapes(net: Network, shape: ImageShape) -> tuple[MapShape, ...]:
    """The shape of each tap of a network, from blank images in eval mode, which does not change batch-norm statistics.

    Two images, because supernets use the statistics of the batch in any mode, for which one value is not enough.
    """
    device = next(net.parameters()).device
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            blank = torch.zeros(2, *shape.tensor_shape, device=device)
            return tuple(MapShape(tap.shape[1], tap.shape[3], shape.dims) for tap in net.outputs(blank).taps)
    finally:
        net.train(training)
