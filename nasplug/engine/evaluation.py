"""How good a trained network is."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from nasplug.engine.finite import NonFinite
from nasplug.parts import Batch, Network


@torch.inference_mode()
def error_rate(net: Network, batches: Iterable[Batch]) -> float:
    """The share of images that `net` puts into a wrong class, from 0 to 1; leaves the network in eval mode.

    Raises NonFinite if a logit is not finite: NaN would count as the first class.
    """
    net.eval()
    wrong: list[torch.Tensor] = []
    broken: list[torch.Tensor] = []
    seen = 0
    for batch in batches:
        logits = net(batch.images)
        wrong.append((logits.argmax(1) != batch.labels).sum())
        broken.append((~logits.isfinite()).any(1).sum())
        seen += len(batch.labels)
    if count := int(torch.stack(broken).sum()):
        raise NonFinite(f"The answers to {count} of {seen} images are not finite numbers.")
    return int(torch.stack(wrong).sum()) / seen
