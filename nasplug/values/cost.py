"""What a network costs."""

from __future__ import annotations

import attrs


@attrs.frozen
class Cost:
    """The price of one network for one image.

    `params` counts the network as shipped, without an auxiliary head. `macs` counts the multiply-accumulates of
    convolutions and linear layers (what papers of the field call FLOPs).
    """

    params: int
    macs: int
