"""Batches as a pure function of (seed, phase, split, step).

Nothing here has a position or a random state: the batch of any step can be computed at any time, so that a resumed run
sees the same batches as an uninterrupted one and streams do not influence each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nasplug.data.augment import add_noise, augment, cut_out, normalize
from nasplug.data.balance import balanced_order, class_weights
from nasplug.data.batch_reader import BATCHES_AHEAD, BatchReader, Indices
from nasplug.data.boxes import erase
from nasplug.data.colour import jitter
from nasplug.errors import InputError
from nasplug.parts import Batch, Images, Task
from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.random_boxes import RandomBoxes
from nasplug.parts.transfer import send
from nasplug.values import Training
from nasplug.values.seeds import derive_seed
from nasplug.values.share import WHOLE, Share

FEWEST = 2
"""Images that a process needs of each batch, or of each of its parts: batch norm of 1x1 maps has no variance of one."""


class BatchStream:
    """The training batches of one split in one phase.

    Every epoch is one pass over the images at `indices` in a new order and drops the last incomplete batch; if there
    are fewer images than `training.batch_size`, every epoch is one batch of all of them. With the balance "sampling"
    an epoch has as many images, but every class equally often; with "weights" batches carry the weights of classes.
    `mean` and `std` are per channel on the scale from 0 to 1; `flips`, `shift` (pixels) and `dims` (1: signals) are
    those of the data set.
    With `augmented=False` images are normalised only. With `resident`, images in memory are copied to `device` if they
    are small enough; all others are read some batches ahead in threads. Random crops (augmentation "imagenet") are
    taken from the originals of `images` that have these. `task` is that of the labels; a balance is for classes.

    With a `share`, batches hold the images of one process of several alone. They are those that the whole batch has
    there, with the same augmentation: random numbers are drawn for the whole batch. Raises InputError if `indices` is
    empty, or if a process would have fewer than FEWEST images of a batch.
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
        task: Task = CLASSIFICATION,
        share: Share = WHOLE,
        dims: int = 2,
    ) -> None:
        if len(indices) == 0:
            raise InputError(f"Split '{split}' of phase '{phase}' holds no images; give it a larger share.")
        self._indices = indices
        self._labels = images.labels[indices]
        self._training = training
        weights = class_weights(self._labels, int(images.labels.max()) + 1) if training.balance == "weights" else None
        self._class_weights = None if weights is None else send(weights, device)
        self._mean, self._std = send(torch.tensor([mean, std], dtype=torch.float32), device)
        self._task, self._encode = task, task.make_encoder(device)
        self._flips = flips
        self._shift = shift
        self._dims = dims
        self._stream = (seed, phase, split)
        self._augmented = augmented
        self.batch_size = min(training.batch_size, len(indices))
        self._rows = None if share.is_whole else self._find_rows(share)
        self._places = None if self._rows is None else send(torch.tensor(self._rows), device)
        self._order: tuple[int, Indices] = (-1, indices)
        self._crops_originals = augmented and images.has_originals and training.augment.startswith("imagenet")
        boxes = self._boxes if self._crops_originals else None
        self._reader = BatchReader(images, self._positions, device, resident=resident, boxes=boxes)

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch, at least one."""
        return len(self._indices) // self.batch_size

    def batch(self, step: int) -> Batch:
        """The batch of step number `step`, counted from 0 over all epochs; starts reading the next ones."""
        pixels, labels = self._reader.read(step)
        self.prefetch(step + 1)
        if not self._augmented:
            return self._make_batch(normalize(pixels, self._mean, self._std), labels)
        if self._places is None:
            return self._make_batch(self._augment(pixels, step), labels)
        # Random numbers belong to places in the whole batch; where other processes have images there are blank ones.
        blank = pixels.new_zeros((self.batch_size, *pixels.shape[1:]))
        blank[self._places] = pixels
        return self._make_batch(self._augment(blank, step)[self._places], labels)

    def _augment(self, pixels: Tensor, step: int) -> Tensor:
        """All images of the batch of a step, uint8 (N, C, H, W), augmented and normalised."""
        training = self._training
        generator = self._generator(step)
        if self._crops_originals:
            RandomBoxes.sample(len(pixels), generator)  # those that were read, so that other numbers follow
        pixels = augment(
            pixels,
            generator,
            training.augment,
            flips=self._flips,
            shift=self._shift,
            cropped=self._crops_originals,
            dims=self._dims,
        )
        if any(training.color_jitter):
            pixels = jitter(pixels, training.color_jitter, generator)
        normalised = normalize(pixels, self._mean, self._std)
        if training.cutout:
            normalised = cut_out(normalised, training.cutout, generator)
        if training.random_erasing:
            normalised = erase(normalised, training.random_erasing, generator)
        if training.noise:
            normalised = add_noise(normalised, training.noise, generator)
        return normalised

    def _make_batch(self, images: Tensor, labels: Tensor) -> Batch:
        whole = None if self._rows is None else self.batch_size
        return Batch(images, self._encode(labels), self._class_weights, self._task, whole)

    def _find_rows(self, share: Share) -> list[int]:
        """The places in each batch of the images of a share. Raises InputError if a process would have too few."""
        parts = self._training.accumulate if self.batch_size == self._training.batch_size else 1
        if self.batch_size // parts < FEWEST * share.count:
            _, phase, split = self._stream
            what = (
                f"Parts of {self.batch_size // parts} images" if parts > 1 else f"Batches of {self.batch_size} images"
            )
            raise InputError(
                f"{what} of split '{split}' (phase '{phase}') cannot be divided among {share.count} processes, each of "
                f"which needs at least {FEWEST}; start fewer (torchrun --nproc-per-node), or set a larger batch_size."
            )
        return share.rows(self.batch_size, parts)

    def prefetch(self, step: int) -> None:
        """Starts reading the batches from `step` on in the background, where images are read from files."""
        self._reader.prefetch(step, step + BATCHES_AHEAD)

    def _generator(self, step: int) -> torch.Generator:
        """The source of the random numbers of augmentation in a step; the boxes of random crops come first."""
        return torch.Generator().manual_seed(derive_seed(*self._stream, "augment", step))

    def _boxes(self, step: int) -> RandomBoxes:
        """The boxes of random crops in a step."""
        boxes = RandomBoxes.sample(self.batch_size, self._generator(step))
        return boxes if self._rows is None else boxes[self._rows]

    def _positions(self, step: int) -> tuple[Indices, slice]:
        """An order of images that several steps may share, and the slice of it that is the batch of `step`."""
        epoch, number = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(*self._stream, "order", epoch))
            if self._training.balance == "sampling":
                order = balanced_order(self._indices, self._labels, generator)
            else:
                order = self._indices[torch.randperm(len(self._indices), generator=generator).numpy()]
            self._order = (epoch, order)
        batch = slice(number * self.batch_size, (number + 1) * self.batch_size)
        if self._rows is None:
            return self._order[1], batch
        return self._order[1][batch][self._rows], slice(None)


def sequential_batches(
    images: Images,
    indices: Indices,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    *,
    resident: bool = True,
    task: Task = CLASSIFICATION,
) -> Iterator[Batch]:
    """All images at `indices` in that order, without augmentation, for evaluation; the last batch may be smaller.

    A single remaining image joins the batch before it, since batch norm of 1x1 maps needs at least two images. `mean`
    and `std` are per channel on the scale from 0 to 1. With `resident`, images in memory are copied to `device` if they
    are small enough. `task` is that of the labels.
    """
    encode = task.make_encoder(device)
    means, deviations = send(torch.tensor([mean, std], dtype=torch.float32), device)
    ends = [*range(batch_size, len(indices) - 1, batch_size), len(indices)]
    count = len(ends) if len(indices) else 0

    def positions(number: int) -> tuple[Indices, slice]:
        return indices, slice(number * batch_size, ends[number])

    reader = BatchReader(images, positions, device, resident=resident)
    for number in range(count):
        pixels, labels = reader.read(number)
        reader.prefetch(number + 1, min(number + 1 + BATCHES_AHEAD, count))
        yield Batch(normalize(pixels, means, deviations), encode(labels), task=task)
