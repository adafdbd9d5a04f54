"""Reference networks: what an engineer would build by hand, at any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from nasplug.parts.network import Network
from nasplug.values import ImageShape
from nasplug.values.options import option_values

FETCHED = "pretrained"
"""The value of a `weights_option` that stands for the weights that the library of the network fetches."""


class ReferenceNetwork(ABC):
    """A hand-designed architecture at many sizes, with which found networks of equal cost are compared.

    An attrs class whose options are single values. It has no state: its methods are functions of its options and their
    arguments, except that initial weights come from torch's global generator, which the caller has seeded.
    """

    input_dims: ClassVar[frozenset[int]] = frozenset({2})
    """As `ImageShape.dims`, which inputs it is built for: 2 for images, 1 for signals."""
    location_option: ClassVar[str] = ""
    """The option that takes what follows the name and a colon, as in `timm:resnet18`; empty: nothing may follow."""
    weights_option: ClassVar[str] = ""
    """The option that takes a file of trained weights, or `pretrained`, for those that are published; empty: there are
    none. With weights, a network with a location can be a teacher: `--teacher-from timm:resnet18`."""

    @abstractmethod
    def network(self, shape: ImageShape) -> Network:
        """A new network for images of `shape`, on the CPU, with initial weights.

        It has no auxiliary head, and as many taps as it likes. It has to work for images of 8 to 224 pixels and of 1 to
        4 channels, with strides that fit their size. Raises InputError for images that it cannot take.
        """

    def load_weights(self, net: Network) -> None:
        """Gives a new `network` the weights from which its training starts; by default it keeps its initial ones.

        Called once before the training. Raises InputError if the options name weights that cannot be had.
        """

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation, by channel and on the scale from 0 to 1, of images for its trained weights.

        None (the default): those of the run, with as many channels. A single channel of a run is repeated.
        """
        return None

    @abstractmethod
    def scaled(self, width: float) -> Self:
        """This architecture with the channels of every stage multiplied by `width`, rounded, at least 1.

        `width` replaces the present one, so that `scaled(1.0)` is the published size.
        """

    @abstractmethod
    def widths(self) -> Sequence[float]:
        """The widths that are worth trying, ascending; neither parameters nor MACs fall from one to the next.

        The finer the steps, the closer a network comes to the cost that it is compared at.
        """

    def size(self) -> dict[str, int | float | str]:
        """The options from which this very network is built again, width included; by default all of them.

        Written to result files; where weights come from is no part of it. No option may be called `classes` or `size`,
        which are those of the images there.
        """
        return option_values(self)
