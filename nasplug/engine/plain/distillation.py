"""Knowledge distillation: learning from labels and from the logits of a trained network."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from nasplug.engine.plain.labels import LabelStage, add_auxiliary_loss
from nasplug.parts import Batch, Network, Stage, key_of
from nasplug.values import StepInfo, Update


class DistillationStage(Stage):
    """The loss of `labels`, mixed with the divergence from a teacher (Hinton, Vinyals & Dean, 2015, section 2).

        L = (1 - w) CE(s) + w T^2 KL(softmax(t / T) || softmax(s / T)),

    where s and t are the logits of network and teacher for the same images, w is `weight` (from 0 to 1) and T is
    `temperature` (above 0); for another task than classification its loss and divergence stand in their places. An
    auxiliary head learns from the same mixture, which counts as `labels` says. Weights of classes apply to the cross
    entropy; in the divergence every image counts the same. The teacher is no submodule: it is neither saved nor moved
    with this stage, stays in eval mode and gets no gradient.
    """

    static_graph = True

    def __init__(self, labels: LabelStage, teacher: Network, weight: float, temperature: float) -> None:
        super().__init__()
        self.labels = labels
        self.weight = weight
        self.temperature = temperature
        teacher.requires_grad_(False).eval()
        self._teacher = (teacher,)

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, whatever is updated."""
        with torch.no_grad():
            targets = self._teacher[0](batch.images).float()
        out = net.outputs(batch.images)
        distilled = add_auxiliary_loss(
            out, self.labels.auxiliary_weight, lambda logits: batch.task.divergence(logits, targets, self.temperature)
        )
        return (1 - self.weight) * self.labels.loss(out, batch) + self.weight * distilled

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What the operations of the teacher depend on."""
        return key_of(self._teacher[0], methods=("outputs",))
