"""Learning from labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from torch import Tensor
from torch.nn import functional as F

from nasplug.parts import Batch, DistillationTeacher, Network, Stage, Supernet
from nasplug.values import ImageShape, StepInfo, Update


class LabelStage(Stage):
    """Cross entropy with the labels, in float32, plus `auxiliary_weight` times that of the auxiliary head, if any.

    `smoothing` spreads that share of the target evenly over all classes.
    """

    static_graph = True

    def __init__(self, smoothing: float = 0.0, auxiliary_weight: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.auxiliary_weight = auxiliary_weight

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, whatever is updated."""
        out = net.outputs(batch.images)
        loss = F.cross_entropy(out.logits.float(), batch.labels, label_smoothing=self.smoothing)
        if out.auxiliary is None or self.auxiliary_weight == 0:
            return loss
        auxiliary = F.cross_entropy(out.auxiliary.float(), batch.labels, label_smoothing=self.smoothing)
        return loss + self.auxiliary_weight * auxiliary


@attrs.define
class Labels(DistillationTeacher):
    """No teacher but the labels: the neutral part of its slot."""

    distils = False

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """One stage: plain cross entropy."""
        return (LabelStage(),)
