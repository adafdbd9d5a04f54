"""What a network costs.

Limits on it are `SelectOptions` (`nasplug.values.recipe`), applied by `select` (`nasplug.runs.selection`).
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Cost:
    """The cost of one network for one image."""

    params: int
    """Parameters of the network as shipped, without an auxiliary head."""
    macs: int
    """Multiply-accumulates of convolutions and linear layers, which many papers call FLOPs."""
