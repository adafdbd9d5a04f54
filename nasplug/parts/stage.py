"""What one stage of a search minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from nasplug.parts.batch import Batch
from nasplug.parts.network import Network
from nasplug.values import Now, Turn


class Stage(nn.Module, ABC):
    """The task's loss of one stage, distillation included.

    `forward` is pure and repeatable. A stage never owns the network; its own trainable parameters (adaptors) move
    with the weights, and its parameters and buffers are checkpoint state. A frozen teacher is held by a tuple or
    closure, not as a submodule, so that it is not.
    """

    @abstractmethod
    def forward(self, net: Network, batch: Batch, turn: Turn, now: Now) -> Tensor:
        """The scalar loss of `net` on `batch`."""

    def after_step(self, net: Network, now: Now) -> None:
        """Called after all turns of a step: a self-teacher takes its copies here."""
