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
    """The loss of one stage of a training, distillation included.

    `forward` must be pure: computing it again gives the same loss and changes nothing. A stage does not own the network
    that it is given. Its own trainable parameters (adaptors) are updated together with the weights; its parameters and
    buffers are saved with every checkpoint. A frozen teacher must stay out of both: hold it in a tuple or a closure,
    not as a submodule.
    """

    blocks: tuple[int, ...] | None = None
    """The blocks whose weights and choices are trained in this stage; None: the whole network."""
    rates: Mapping[int, float] = MappingProxyType({})
    """By block, the factor of the learning rate of its weights and adaptors; blocks not named have the factor 1."""

    length: int = 1
    """The length of the stage, in multiples of the epochs of the training; its learning rate is stretched alike."""

    static_graph: bool = False
    """Whether `forward` runs the same operations in every step, and `after_step` changes nothing but tensors in place.

    See `ArchitectureOptimizer.static_graph`.
    """

    @abstractmethod
    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        """The loss of `net` on `batch`, a scalar with its graph.

        Called once per update, and again where an optimizer evaluates the loss on another split (second-order steps).
        """

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What else the operations of `forward` depend on, where `static_graph` is set; None: unknown in this step."""
        return ()

    def learning_with(self, block: int) -> Iterable[nn.Parameter]:
        """Those of its own parameters whose learning rate has the factor of `block` in `rates`; by default none."""
        return ()

    def raters(self, net: Supernet) -> Sequence[Rater]:
        """What rates the paths that this stage trains; by default the labels rate paths through the whole network."""
        return (LabelRater(net.whole()),)

    def after_step(self, net: Network, now: StepInfo) -> None:
        """Called once per step, after all its updates: self-distillation updates its copies of the network here."""
