"""How good a trained network is."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from nasplug.parts import Batch, Network


@torch.inference_mode()
def error_rate(net: Network, batches: Iterable[Batch]) -> float:
    """The share of images that `net` puts into a wrong class, from 0 to 1; leaves the network in eval mode."""
    net.eval()
    wrong: list[torch.Tensor] = []
    seen = 0
    for batch in batches:
        wrong.append((net(batch.images).argmax(1) != batch.labels).sum())
        seen += len(batch.labels)
    return int(torch.stack(wrong).sum()) / seen
