"""Networks that a space builds: the supernet of a search and the stand-alone network of a genotype."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence

import attrs
from torch import Tensor, nn

from nasplug.parts.block import Block, Layer
from nasplug.parts.choice import Choices


@attrs.frozen
class Outputs:
    """What a forward pass gives."""

    logits: Tensor
    """(N, classes)"""
    taps: tuple[Tensor, ...]
    """Features (N, C, H, W) at the places where the space compares networks, in the order of the network."""
    auxiliary: Tensor | None = None
    """Logits of the auxiliary head in training, if there is one."""


class Network(nn.Module, ABC):
    """A network for images (N, C, H, W). `forward` gives the logits; `outputs` all that learning can use."""

    static_graph: bool = False
    """Whether `outputs` runs the same operations on the same tensors in every step; see `ArchitectureOptimizer`."""
    drop_path: float = 0.0
    """Probability that a path is dropped in training; set by the training as it goes on."""
    dropout: float = 0.0
    """Probability that an input of the classifier is zeroed in training; set by the training."""

    def graph_key(self) -> Hashable | None:
        """What else the operations of `outputs` depend on, where `static_graph` is set; None: unknown for this step.

        `drop_path`, `dropout`, the mode and `Choices.computed_columns` need not be named.
        """
        return ()

    @abstractmethod
    def outputs(self, images: Tensor) -> Outputs:
        """Logits, taps and auxiliary logits of a batch."""

    def forward(self, images: Tensor) -> Tensor:
        """The logits of a batch, (N, classes)."""
        return self.outputs(images).logits


class Supernet(Network):
    """A network that holds every architecture of its space, weighed by its choices."""

    choices: Choices

    def whole(self) -> Block:
        """The whole network as one block, from images to logits; by default in one layer."""
        rows = tuple(range(len(self.choices)))
        return Block(
            inputs=(),
            output=None,
            enter=lambda maps: maps[0],
            layers=(Layer(rows=rows, module=self, compute=self.forward),),
            leave=lambda logits: logits,
            modules=(self,),
        )

    def blocks(self) -> Sequence[Block]:
        """The blocks that can be trained on their own, in order; by default the whole network is the only one."""
        return (self.whole(),)

    @abstractmethod
    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
