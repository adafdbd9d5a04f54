"""Images that are held in memory, and images of two origins as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts import ImageData, Images


class MemoryImages(Images):
    """All images in one tensor `pixels` (N, C, H, W), on the CPU or on another device: uint8, or float32 for signals.

    `labels` are a NumPy array on the host for splitting, int64 where they are whole numbers (N,); `targets` are the
    same as a tensor on the device of the pixels.
    """

    def __init__(self, pixels: Tensor, labels: npt.NDArray[Any]) -> None:
        if pixels.dtype not in (torch.uint8, torch.float32) or pixels.ndim != 4 or len(pixels) != len(labels):
            raise ValueError(
                f"Expected uint8 or float32 pixels (N, C, H, W) and N labels, found {pixels.dtype} "
                f"{tuple(pixels.shape)} and {len(labels)} labels."
            )
        self.pixels = pixels
        self.labels = labels.astype(np.int64) if labels.ndim == 1 else labels
        self.targets = torch.from_numpy(self.labels).to(pixels.device)
        self._copies: dict[torch.device, MemoryImages] = {}

    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, (N, C, H, W), on the device of `pixels`."""
        return self.pixels[torch.as_tensor(np.asarray(indices, dtype=np.int64), device=self.pixels.device)]

    def to(self, device: torch.device) -> MemoryImages:
        """These images on `device`. There is one copy per device, which all streams of a run share."""
        device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", the device of its tensors
        if device == self.pixels.device:
            return self
        if device not in self._copies:
            self._copies[device] = MemoryImages(self.pixels.to(device), self.labels)
        return self._copies[device]


class JoinedImages(Images):
    """The images of one set, followed by those of another, of the same size."""

    def __init__(self, first: Images, second: Images) -> None:
        self.labels = np.concatenate([first.labels, second.labels])
        self._parts = first, second

    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (N, C, H, W)."""
        first, second = self._parts
        count = len(first)
        own = [index < count for index in indices]
        parts = (
            first.read([index for index in indices if index < count]) if any(own) else None,
            second.read([index - count for index in indices if index >= count]) if not all(own) else None,
        )
        pixels = torch.cat([part for part in parts if part is not None])
        # Where each image stands in `pixels`, which has those of the first set before the others.
        return pixels[np.argsort(np.argsort(np.logical_not(own), kind="stable"))]


def with_validation(data: ImageData, images: Images | None) -> ImageData:
    """The data set with `images` of the same size as those for validation; None: as it is."""
    if images is None:
        return data
    train = data.train
    if isinstance(train, MemoryImages) and isinstance(images, MemoryImages):
        both: Images = MemoryImages(
            torch.cat([train.pixels, images.pixels]), np.concatenate([train.labels, images.labels])
        )
    else:
        both = JoinedImages(train, images)
    return attrs.evolve(data, train=both, validation=np.arange(len(train), len(both)))
