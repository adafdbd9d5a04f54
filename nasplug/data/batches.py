"""Batches as a pure function of (seed, phase, split, step).

Nothing here has a position or a random state: any step may be asked for at any time, so a run that resumes sees the
batches that it would have seen, and streams do not influence each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from nasplug.data.augment import augment, cut_out, normalize
from nasplug.data.batch_reader import BATCHES_AHEAD, BatchReader, Indices
from nasplug.data.boxes import erase
from nasplug.data.colour import jitter
from nasplug.errors import InputError
from nasplug.parts import Batch, Images
from nasplug.parts.transfer import send
from nasplug.values import Training
from nasplug.values.seeds import derive_seed


class BatchStream:
    """The training batches of one split in one phase.

    Every epoch goes through the images at `indices` once, in an order of its own, and drops the last incomplete batch;
    with fewer images than a batch, each epoch is one batch of them all. `mean` and `std` are per channel, from 0 to 1;
    `flips` and `shift` (pixels) are those of the data set. With `augmented=False` the images stay as they are.
    Images in memory live on `device` if they fit there and `resident`; others are read some batches ahead in threads.
    Raises InputError without images.
    """

    def __init__(
        self,
        images: Images,
        indices: Indices,
        *,
        training: Training,
        mean: Sequence[float],
        std: Sequence[float],
        flips: bool,
        shift: int,
        seed: int,
        phase: str,
        split: str,
        device: torch.device,
        augmented: bool = True,
        resident: bool = True,
    ) -> None:
        if len(indices) == 0:
            raise InputError(f"Split '{split}' of phase '{phase}' holds no images; give it a larger share.")
        self._indices = indices
        self._training = training
        self._mean, self._std = send(torch.tensor([mean, std], dtype=torch.float32), device)
        self._flips = flips
        self._shift = shift
        self._stream = (seed, phase, split)
        self._augmented = augmented
        self._batch_size = min(training.batch_size, len(indices))
        self._order: tuple[int, Indices] = (-1, indices)
        self._reader = BatchReader(images, self._positions, device, resident=resident)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the split, at least one."""
        return len(self._indices) // self._batch_size

    def batch(self, step: int) -> Batch:
        """The batch of step number `step`, counted from 0 through all epochs."""
        pixels, labels = self._reader.read(step)
        self.prefetch(step + 1)
        if not self._augmented:
            return Batch(normalize(pixels, self._mean, self._std), labels)
        training = self._training
        generator = torch.Generator().manual_seed(derive_seed(*self._stream, "augment", step))
        pixels = augment(pixels, generator, training.augment, flips=self._flips, shift=self._shift)
        if any(training.color_jitter):
            pixels = jitter(pixels, training.color_jitter, generator)
        ready = normalize(pixels, self._mean, self._std)
        if training.cutout:
            ready = cut_out(ready, training.cutout, generator)
        if training.random_erasing:
            ready = erase(ready, training.random_erasing, generator)
        return Batch(ready, labels)

    def prefetch(self, step: int) -> None:
        """Starts reading the batches from `step` on in the background, where images are read from files."""
        self._reader.prefetch(step, step + BATCHES_AHEAD)

    def _positions(self, step: int) -> tuple[Indices, slice]:
        """The order of the epoch that `step` falls into, and the part of it that is its batch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(*self._stream, "order", epoch))
            self._order = (epoch, self._indices[torch.randperm(len(self._indices), generator=generator).numpy()])
        return self._order[1], slice(place * self._batch_size, (place + 1) * self._batch_size)


def sequential_batches(
    images: Images,
    indices: Indices,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    *,
    resident: bool = True,
) -> Iterator[Batch]:
    """All images at `indices`, in that order and without augmentation, for evaluation; the last batch may be smaller.

    A last image that would be alone joins the batch before it, since a batch of one has no statistics to normalise 1x1
    maps with. `mean` and `std` are per channel, from 0 to 1. Images in memory live on `device` if they fit there and
    `resident`.
    """
    means, deviations = send(torch.tensor([mean, std], dtype=torch.float32), device)
    ends = [*range(batch_size, len(indices) - 1, batch_size), len(indices)]
    count = len(ends) if len(indices) else 0

    def positions(number: int) -> tuple[Indices, slice]:
        return indices, slice(number * batch_size, ends[number])

    reader = BatchReader(images, positions, device, resident=resident)
    for number in range(count):
        pixels, labels = reader.read(number)
        reader.prefetch(number + 1, min(number + 1 + BATCHES_AHEAD, count))
        yield Batch(normalize(pixels, means, deviations), labels)
