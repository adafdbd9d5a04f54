"""Layers of stand-alone networks, as far as their costs need to be known."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from torch import nn


@attrs.frozen
class LayerSpec:
    """One layer of a stand-alone network: how it is built, and what it reads.

    Layers that are equal cost the same, so each is measured once.
    """

    key: str
    """What the layer is, options and width included, such as "darts sep_conv_3x3 16 stride 2"."""
    shape: tuple[int, int, int]
    """Channels, height and width of its input."""
    build: Callable[[], nn.Module] = attrs.field(eq=False, repr=False)
    """Makes the layer: a module from one tensor (N, C, H, W) to one tensor."""
