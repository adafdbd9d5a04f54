"""Learning from labels alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from torch import Tensor

from nasplug.parts import Batch, DistillationTeacher, Network, Outputs, Stage, Supernet
from nasplug.values import ImageShape, StepInfo, Update


class LabelStage(Stage):
    """The loss of the task, in float32, plus `auxiliary_weight` times that of the auxiliary head, if any.

    `smoothing` is that of `Task.loss`. Classes weigh as the batch says.
    """

    static_graph = True

    def __init__(self, smoothing: float = 0.0, auxiliary_weight: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.auxiliary_weight = auxiliary_weight

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`, whatever is updated."""
        return self.loss(net.outputs(batch.images), batch)

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """The scalar loss of what a network has given for the images of a batch."""
        return add_auxiliary_loss(out, self.auxiliary_weight, lambda logits: batch.loss(logits, self.smoothing))


def add_auxiliary_loss(out: Outputs, auxiliary_weight: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The loss of the logits, plus `auxiliary_weight` times that of the auxiliary head's logits, if there is one.

    `loss` gets logits in float32.
    """
    main = loss(out.logits.float())
    if out.auxiliary is None or auxiliary_weight == 0:
        return main
    return main + auxiliary_weight * loss(out.auxiliary.float())


@attrs.define
class Labels(DistillationTeacher):
    """No teacher but the labels: the neutral part of its slot."""

    distils = False
    weighs_classes = True

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """One stage: the plain loss of the task."""
        return (LabelStage(),)
