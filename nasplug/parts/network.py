"""Networks that a space builds: the supernet of a search and the stand-alone network of a genotype."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nasplug.parts.block import Block, Layer
from nasplug.parts.choice import Choices
from nasplug.parts.skip_dropout import SkipDropout
from nasplug.values import Genotype


class Outputs(NamedTuple):
    """The results of one forward pass over N images.

    A named tuple, which torch.compile, torch.export and torch.fx can follow.
    """

    logits: Tensor
    """(N, classes)."""
    taps: tuple[Tensor, ...]
    """Feature maps (N, C, H, W) at the places where the space compares networks, from the first to the last; as many
    as `SearchSpace.taps` says. A reference network has as many as it likes."""
    auxiliary: Tensor | None = None
    """Logits (N, classes) of the auxiliary head; None outside training and in networks without one."""


class Network(nn.Module, ABC):
    """A network for normalised images, float32 (N, C, H, W), or bfloat16 within autocast."""

    static_graph: bool = False
    """Whether `outputs` runs the same operations on the same tensors in every step; see
    `ArchitectureOptimizer.static_graph`."""
    drop_path: float = 0.0
    """Probability that a path is dropped in training mode; the training sets it before every step."""
    dropout: float = 0.0
    """Probability that an input of the classifier is zeroed in training mode; the training sets it once."""

    def graph_key(self) -> Hashable | None:
        """What else the operations of `outputs` depend on, where `static_graph` is set; None: unknown in this step.

        `drop_path`, `dropout`, the training mode and `Choices.computed_columns` are known without it.
        """
        return ()

    @abstractmethod
    def outputs(self, images: Tensor) -> Outputs:
        """Logits, taps and auxiliary logits for images (N, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """The logits (N, classes) for images (N, C, H, W)."""
        return self.outputs(images).logits


class Supernet(Network):
    """A network that holds every architecture of its space; `choices.weights()` weigh its candidates."""

    choices: Choices
    """Its only architecture parameters; a submodule, so that alpha and the kept candidates are in the state dict."""
    skip_dropout: SkipDropout | None = None
    """Dropout after each skip connection in training mode, which the training sets before every step; None: there is
    none. Supernets of spaces with `has_skip_dropout` apply it."""

    def whole(self) -> Block:
        """The whole network as one block, from images to logits; by default a block of one layer."""
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

    def path_weights(self, genotype: Genotype, network: Network) -> Mapping[str, Tensor]:
        """Weights of one path from which `network`, the stand-alone network of `genotype`, may start its training.

        By the name of each parameter of `network`, a tensor of its shape. Empty, which is the default, where there are
        none: weights of this supernet are not those of networks, `network` is wider, or a candidate is deleted.
        """
        return {}

    @abstractmethod
    def prune(self) -> None:
        """Removes the modules of candidates that `choices.kept` no longer holds.

        Called after deletions and when a checkpoint is loaded. The function that the supernet computes must not change,
        nor the state-dict keys of what is left.
        """
