"""Images that are held in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts import Images


class MemoryImages(Images):
    """All images in one uint8 tensor `pixels` (N, C, H, W), on the CPU or on another device.

    `labels`, int64 (N,), are a NumPy array on the host for splitting; `targets` are the same as a tensor on the device
    of the pixels.
    """

    def __init__(self, pixels: Tensor, labels: npt.NDArray[np.integer]) -> None:
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or len(pixels) != len(labels):
            raise ValueError(
                f"Expected uint8 pixels (N, C, H, W) and N labels, found {pixels.dtype} {tuple(pixels.shape)} and "
                f"{len(labels)} labels."
            )
        self.pixels = pixels
        self.labels = labels.astype(np.int64)
        self.targets = torch.from_numpy(self.labels).to(pixels.device)
        self._copies: dict[torch.device, MemoryImages] = {}

    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (N, C, H, W), on the device of `pixels`."""
        return self.pixels[torch.as_tensor(np.asarray(indices, dtype=np.int64), device=self.pixels.device)]

    def to(self, device: torch.device) -> MemoryImages:
        """These images on `device`. There is one copy per device, which all streams of a run share."""
        device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", the device of its tensors
        if device == self.pixels.device:
            return self
        if device not in self._copies:
            self._copies[device] = MemoryImages(self.pixels.to(device), self.labels)
        return self._copies[device]
