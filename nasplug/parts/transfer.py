"""Moving tensors from the host to a device without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def pin(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor in memory from which it can be sent to `device` without waiting; itself where that is so already.

    For CUDA this is page-locked memory: from any other, the driver copies while the host waits. It comes from torch's
    cache, which hands it out again only after the copies from it are done.
    """
    return tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on `device`, strides kept; itself if the device is the host.

    With CUDA the host goes on at once: the copy takes its turn among the work that the device was given. The tensor
    must not be written to afterwards.
    """
    return pin(tensor, device).to(device, non_blocking=device.type == "cuda")
