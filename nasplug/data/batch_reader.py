"""Reads batches of images: from the device if the images are there, otherwise some batches ahead in threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.parts import Images
from nasplug.parts.random_boxes import RandomBoxes
from nasplug.parts.transfer import pin, send

RESIDENT_BYTES = 2 << 30
"""Images in memory of at most this size are copied to the device as a whole."""

BATCHES_AHEAD = 4
"""Batches read ahead, and threads that read them: decoding files runs in parallel with the training."""

Indices = npt.NDArray[np.int64]


def copy_to_device(images: Images, device: torch.device, *, allowed: bool = True) -> MemoryImages | None:
    """`images` on `device`: if they are there already, or in memory, small enough and `allowed` there; else None."""
    if not isinstance(images, MemoryImages):
        return None
    if device.type != images.pixels.device.type and (not allowed or images.pixels.nbytes > RESIDENT_BYTES):
        return None
    return images.to(device)


class BatchReader:
    """Reads numbered batches from `images`.

    `positions(number)` gives the images of batch `number`: an order of indices, which several batches may share, and
    the slice of it that is this batch. A batch depends on its number alone; reading ahead never changes a result. With
    `resident=False` images stay in host memory, however small they are. With `boxes`, which gives one for each image of
    a batch, the batch holds these parts of the originals, which `images` must have.
    """

    def __init__(
        self,
        images: Images,
        positions: Callable[[int], tuple[Indices, slice]],
        device: torch.device,
        *,
        resident: bool = True,
        boxes: Callable[[int], RandomBoxes] | None = None,
    ) -> None:
        self._images = images
        self._positions = positions
        self._boxes = boxes
        self._device = device
        self._resident = copy_to_device(images, device, allowed=resident)
        self._order: tuple[Indices, Tensor] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[int, Future[tuple[Tensor, Tensor]]] = {}

    def read(self, number: int) -> tuple[Tensor, Tensor]:
        """Batch `number` on the device: images, uint8 (N, C, H, W), and their labels."""
        order, batch = self._positions(number)
        if self._resident is not None:
            chosen = self._on_device(order)[batch]
            return self._resident.pixels[chosen], self._resident.targets[chosen]
        pending = self._pending.pop(number, None)
        pixels, labels = self._fetch(number, order[batch]) if pending is None else pending.result()
        return send(pixels, self._device), send(labels, self._device)

    def prefetch(self, first: int, last: int) -> None:
        """Starts reading the batches from `first` up to (not including) `last`, and discards all others read ahead."""
        if self._resident is not None:
            return
        for number in [pending for pending in self._pending if not first <= pending < last]:
            self._pending.pop(number).cancel()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(BATCHES_AHEAD, thread_name_prefix="nasplug-read")
        for number in range(first, last):
            if number not in self._pending:
                # The positions are computed here, so that the threads share nothing but the images.
                order, batch = self._positions(number)
                self._pending[number] = self._pool.submit(self._fetch, number, order[batch])

    def _fetch(self, number: int, indices: Indices) -> tuple[Tensor, Tensor]:
        """The images and labels of batch `number`, at `indices`, on the host, pinned if the device is a GPU."""
        if self._boxes is None:
            pixels = self._images.read(indices.tolist())
        else:
            pixels = self._images.read_crops(indices.tolist(), self._boxes(number))
        labels = torch.from_numpy(self._images.labels[indices])
        return pin(pixels, self._device), pin(labels, self._device)

    def _on_device(self, order: Indices) -> Tensor:
        """An order of indices on the device, copied once for all batches that share it."""
        if self._order is None or self._order[0] is not order:
            self._order = order, send(torch.from_numpy(order), self._device)
        return self._order[1]
