"""Reading batches of images that do not live on the device, some batches ahead of their use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.parts import Images

RESIDENT_BYTES = 2 << 30
"""Images in memory up to this size are copied to the device whole."""

AHEAD = 4
"""Batches read ahead, each by a thread of its own; reading decodes files, which runs beside the training."""


def resident(images: Images, device: torch.device) -> MemoryImages | None:
    """`images` on `device` if they are in memory and small enough to live there, else None."""
    if not isinstance(images, MemoryImages):
        return None
    if device.type != images.pixels.device.type and images.pixels.nbytes > RESIDENT_BYTES:
        return None
    return images.to(device)


class Reader:
    """Reads numbered batches from `images`; `positions(number)` says which images batch `number` holds.

    A batch depends on its number alone: what was read ahead is kept or dropped, but never changes a result.
    """

    def __init__(self, images: Images, positions: Callable[[int], npt.NDArray[np.int64]], device: torch.device) -> None:
        self._images = images
        self._positions = positions
        self._device = device
        self._resident = resident(images, device)
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[int, Future[Tensor]] = {}

    def read(self, number: int) -> tuple[Tensor, Tensor]:
        """Batch `number` on the device: images, uint8 (N, C, H, W), and labels, int64 (N,)."""
        where = self._positions(number)
        if self._resident is not None:
            chosen = torch.from_numpy(where).to(self._device)
            return self._resident.pixels[chosen], self._resident.targets[chosen]
        pending = self._pending.pop(number, None)
        pixels = self._images.read(where.tolist()) if pending is None else pending.result()
        labels = torch.from_numpy(self._images.labels[where])
        return pixels.to(self._device), labels.to(self._device)

    def prefetch(self, first: int, last: int) -> None:
        """Starts reading the batches from `first` up to (not including) `last`, and drops what else was read ahead."""
        if self._resident is not None:
            return
        for number in [one for one in self._pending if not first <= one < last]:
            self._pending.pop(number).cancel()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="nasplug-read")
        for number in range(first, last):
            if number not in self._pending:
                # The positions are worked out here, so that threads share nothing but the images.
                self._pending[number] = self._pool.submit(self._images.read, self._positions(number).tolist())
