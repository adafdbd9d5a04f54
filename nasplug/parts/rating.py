"""Rating: how good paths through a trained supernet are, measured without training them on their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.parts.batch import Batch
from nasplug.parts.block import Block


class Rater(ABC):
    """Rates what one block makes of a batch. The lower the better, and ratings of several blocks can be added.

    It is called for one path after the other, always with the same few batches (the same objects), without gradients.
    So what depends on a batch alone, such as a teacher's features, is worth keeping.
    """

    block: int | None
    """Which block; None: the whole network."""
    view: Block
    """The block, ready to be computed layer by layer."""

    @abstractmethod
    def inputs(self, batch: Batch) -> Sequence[Tensor]:
        """What the block reads for this batch."""

    @abstractmethod
    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """How far the block's output is from what it should be, a scalar."""


@attrs.define(eq=False)
class LabelRater(Rater):
    """Rates the logits of a whole network by their cross entropy with the labels."""

    view: Block
    block: int | None = None

    def inputs(self, batch: Batch) -> Sequence[Tensor]:
        """The images."""
        return (batch.images,)

    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean cross entropy, in float32 at least."""
        return F.cross_entropy(output.to(torch.promote_types(output.dtype, torch.float32)), batch.labels)
