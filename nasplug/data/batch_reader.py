"""Reading batches of images: those that live on the device from there, others some batches ahead of their use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.parts import Images
from nasplug.parts.transfer import pin, send

RESIDENT_BYTES = 2 << 30
"""Images in memory up to this size are copied to the device whole."""

BATCHES_AHEAD = 4
"""Batches read ahead, each by a thread of its own; reading decodes files, which runs beside the training."""

Indices = npt.NDArray[np.int64]


def copy_to_device(images: Images, device: torch.device, *, wanted: bool = True) -> MemoryImages | None:
    """`images` on `device` if they live there already, or if they are in memory, small enough and `wanted` there."""
    if not isinstance(images, MemoryImages):
        return None
    if device.type != images.pixels.device.type and (not wanted or images.pixels.nbytes > RESIDENT_BYTES):
        return None
    return images.to(device)


class BatchReader:
    """Reads numbered batches from `images`.

    `positions(number)` says which images batch `number` holds: an order of images that many batches may share, and the
    part of it that is this batch. A batch depends on its number alone: what was read ahead is kept or dropped, but
    never changes a result. With `resident=False` images stay in the memory of the host, however small they are.
    """

    def __init__(
        self,
        images: Images,
        positions: Callable[[int], tuple[Indices, slice]],
        device: torch.device,
        *,
        resident: bool = True,
    ) -> None:
        self._images = images
        self._positions = positions
        self._device = device
        self._resident = copy_to_device(images, device, wanted=resident)
        self._order: tuple[Indices, Tensor] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[int, Future[tuple[Tensor, Tensor]]] = {}

    def read(self, number: int) -> tuple[Tensor, Tensor]:
        """Batch `number` on the device: images, uint8 (N, C, H, W), and labels, int64 (N,)."""
        order, part = self._positions(number)
        if self._resident is not None:
            chosen = self._on_device(order)[part]
            return self._resident.pixels[chosen], self._resident.targets[chosen]
        pending = self._pending.pop(number, None)
        pixels, labels = self._fetch(order[part]) if pending is None else pending.result()
        return send(pixels, self._device), send(labels, self._device)

    def prefetch(self, first: int, last: int) -> None:
        """Starts reading the batches from `first` up to (not including) `last`, and drops what else was read ahead."""
        if self._resident is not None:
            return
        for number in [one for one in self._pending if not first <= one < last]:
            self._pending.pop(number).cancel()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(BATCHES_AHEAD, thread_name_prefix="nasplug-read")
        for number in range(first, last):
            if number not in self._pending:
                # The positions are worked out here, so that threads share nothing but the images.
                order, part = self._positions(number)
                self._pending[number] = self._pool.submit(self._fetch, order[part])

    def _fetch(self, where: Indices) -> tuple[Tensor, Tensor]:
        """The images and labels at `where` on the host, ready to be sent."""
        pixels, labels = self._images.read(where.tolist()), torch.from_numpy(self._images.labels[where])
        return pin(pixels, self._device), pin(labels, self._device)

    def _on_device(self, order: Indices) -> Tensor:
        """An order of images on the device, sent once for all batches that share it."""
        if self._order is None or self._order[0] is not order:
            self._order = order, send(torch.from_numpy(order), self._device)
        return self._order[1]
