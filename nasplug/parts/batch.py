"""One batch of images."""

from __future__ import annotations

import attrs
from torch import Tensor

from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.task import Task


@attrs.frozen(eq=False)
class Batch:
    """A batch of N labelled images on the device of the run.

    Batches are compared by identity, so that one can be the key of a cache of what was computed from it.
    """

    images: Tensor
    """Augmented and normalised, float32 (N, C, H, W), in channels-last layout."""
    labels: Tensor
    """The targets of the task: of classes int64 (N,), of others float32 (N, outputs)."""
    class_weights: Tensor | None = None
    """The weight of each class in the loss, float32 (classes,), the same tensor in all batches; None: all weigh 1."""
    task: Task = CLASSIFICATION
    """What the outputs of a network mean for these images."""
    whole: int | None = None
    """The images of the batch of which these are the share of one process of several; None: they are the batch."""
    mean_weight: Tensor | None = None
    """The mean over images of their class weights, (), in the batch of which these are one of several parts.

    The mean of the losses of equal parts is then the loss of that batch. None: the mean over these images.
    """

    @property
    def whole_size(self) -> int:
        """The number of images in the whole batch."""
        return len(self.labels) if self.whole is None else self.whole

    def loss(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """What is minimised, of `logits`, float32 (N, outputs): a mean over images, by class weight if there are any.

        With classes it is the cross entropy; `smoothing` then spreads that share of the target evenly over all of them.
        """
        loss = self.task.loss(logits, self.labels, smoothing, self.class_weights)
        if self.class_weights is None or self.mean_weight is None:
            return loss
        return loss * (self.class_weights[self.labels].mean() / self.mean_weight)

    def cross_entropy(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """The same as `loss`, by the name that it has had since all data sets were of classes."""
        return self.loss(logits, smoothing)
