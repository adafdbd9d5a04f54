"""Rating: how good paths through a trained supernet are, measured without training them on their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from nasplug.parts.batch import Batch
from nasplug.parts.block import Block


class Rater(ABC):
    """Rates the output of one block: the lower the better, and ratings of several blocks can be added.

    It is called after the training, without gradients, for one path after another and always with the same few `Batch`
    objects. What depends on a batch alone, such as the features of a teacher, is therefore worth caching by batch.
    """

    block: int | None
    """The number of the block; None: the whole network."""
    view: Block
    """The block itself, which is computed layer by layer."""

    def prepare(self, calibration: Sequence[Batch]) -> None:
        """Told, before paths are rated, the training images on which the norms of every path are measured.

        A teacher that normalises by measured statistics measures its own on them. By default nothing happens.
        """

    @abstractmethod
    def inputs(self, batch: Batch) -> Sequence[Tensor]:
        """What the block reads for this batch: the images alone in the first block, else maps (N, C, H, W)."""

    @abstractmethod
    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """How far the block's output is from its target: a scalar tensor, the mean over the images of the batch."""


@attrs.define(eq=False)
class LabelRater(Rater):
    """Rates the logits of a whole network by their loss, such as the cross entropy with the labels."""

    view: Block
    block: int | None = None

    def inputs(self, batch: Batch) -> Sequence[Tensor]:
        """The images."""
        return (batch.images,)

    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean loss, in float32 or in the precision of `output` if that is higher."""
        return batch.task.loss(output.to(torch.promote_types(output.dtype, torch.float32)), batch.labels)
