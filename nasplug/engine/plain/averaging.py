"""An exponential moving average of the weights, which often classifies better than the last weights do."""

from __future__ import annotations

import copy
from collections.abc import Hashable

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from nasplug.parts import Batch, Network, Stage, key_of
from nasplug.values import StepInfo, Update


class AveragingStage(Stage):
    """Learns as the stage `learning` does, and holds the average of a network's weights and batch-norm statistics.

    After the step number n (from 0) the average w' becomes d w' + (1 - d) w with d = min(decay, (1 + n) / (10 + n)), as
    TensorFlow averages with a count of updates: the initial weights are soon forgotten, however short the training.
    Whole numbers are copied. The average is checkpoint state like everything in a stage; it never trains.
    """

    static_graph = True

    def __init__(self, learning: Stage, net: Network, decay: float) -> None:
        super().__init__()
        self.learning = learning
        self.decay = decay
        self.average = copy.deepcopy(net).requires_grad_(False)

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The loss of `learning`."""
        loss: Tensor = self.learning(net, batch, update, now)
        return loss

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What the operations of `learning` depend on."""
        return key_of(self.learning, now, methods=("forward",))

    @torch.no_grad()
    def after_step(self, net: Network, now: StepInfo) -> None:
        """Moves the average towards the weights that this step has led to."""
        pairs = zip(_tensors(self.average), _tensors(net), strict=True)
        averages, values = [], []
        for average, value in pairs:
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        get_ema_multi_avg_fn(self.decay_at(now.step))(averages, values, None)

    def decay_at(self, step: int) -> float:
        """The weight of the average so far after the step number `step`, from 0."""
        return min(self.decay, (1 + step) / (10 + step))


def _tensors(net: Network) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
