"""Copying tensors from the host to a device without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def pin(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor in memory from which it can be copied to `device` asynchronously; `tensor` itself if it is already.

    For CUDA this is page-locked memory: from any other memory the driver copies while the host waits. It comes from
    torch's caching allocator, which hands it out again only after all copies from it are complete.
    """
    return tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`, with the same strides; `tensor` itself if it is there already.

    With CUDA the host continues at once and the copy is queued on the current stream; the source tensor must not be
    written to afterwards.
    """
    return pin(tensor, device).to(device, non_blocking=device.type == "cuda")
