"""What one stage of a search minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor, nn

from nasplug.parts.batch import Batch
from nasplug.parts.network import Network, Supernet
from nasplug.parts.rating import LabelRater, Rater
from nasplug.values import StepInfo, Update


class Stage(nn.Module, ABC):
    """The task's loss of one stage, distillation included.

    `forward` is pure and repeatable. A stage never owns the network; its own trainable parameters (adaptors) move
    with the weights, and its parameters and buffers are checkpoint state. A frozen teacher is held by a tuple or
    closure, not as a submodule, so that it is not.
    """

    blocks: tuple[int, ...] | None = None
    """The blocks whose weights and choices move in this stage; None: the whole network."""
    rates: Mapping[int, float] = MappingProxyType({})
    """Factors of the learning rate of the weights, adaptors included, by block; 1 where nothing is said."""

    static_graph: bool = False
    """Whether `forward` runs the same operations in every step, and `after_step` changes nothing but tensors in place.

    See `ArchitectureOptimizer.static_graph`.
    """

    @abstractmethod
    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The scalar loss of `net` on `batch`."""

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What else the operations of `forward` depend on, where `static_graph` is set; None: unknown for this step."""
        return ()

    def learning_with(self, block: int) -> Iterable[nn.Parameter]:
        """Those of its own parameters that learn at the rate of a block; by default none."""
        return ()

    def raters(self, net: Supernet) -> Sequence[Rater]:
        """What rates the paths that this stage has trained: by default the labels, for the whole network."""
        return (LabelRater(net.whole()),)

    def after_step(self, net: Network, now: StepInfo) -> None:
        """Called after all turns of a step: a self-teacher takes its copies here."""
