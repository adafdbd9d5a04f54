"""Networks of libraries, by the names that they have there, with initial or with trained weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor, nn

from nasplug.builtin.references.library_weights import fit_weights, tensors_only
from nasplug.errors import InputError, quote, reason, suggest
from nasplug.parts import Network, Outputs, ReferenceNetwork, option, read_weights
from nasplug.parts.reference import FETCHED
from nasplug.values import ImageShape

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation by channel, on the scale from 0 to 1."""

WIDTH = 1.0
"""The only one: networks of libraries have the size that their name says."""


@attrs.frozen
class LibraryNetwork(ReferenceNetwork):
    """A network of a library, as that makes it."""

    location_option: ClassVar[str] = "model"
    weights_option: ClassVar[str] = "weights"
    library: ClassVar[str]
    """The name of the library's package, under which the networks are registered."""
    list_names: ClassVar[str]
    """The function of the library that lists its networks."""

    model: str = option("", "name of the network in the library, as in timm:resnet18")
    weights: str = option(
        "",
        "weights that training starts from: a file, or `pretrained` for those that the library fetches; empty: random",
    )

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The networks of the library; InputError where it is not installed."""

    def is_known(self) -> bool:
        """Whether the library has the network; InputError where it is not installed."""
        return self.model in self.names()

    @abstractmethod
    def create(self, channels: int, classes: int) -> nn.Module:
        """A new network with initial weights from torch's global generator."""

    @abstractmethod
    def fetch(self, channels: int) -> Mapping[str, Tensor]:
        """The published weights, adapted to images of `channels` channels as far as the library does that."""

    @abstractmethod
    def published_normalisation(self) -> Normalisation:
        """Mean and standard deviation of the images on which they were trained."""

    def network(self, shape: ImageShape) -> Network:
        """The network, without taps. InputError where the library has no such network, or it fails on such images.

        One image is classified to find that out.
        """
        self._refuse_unknown()
        try:
            net = _Wrapped(self.create(shape.channels, shape.classes), shape)
            with torch.no_grad():
                logits = net.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
            if logits.shape != (1, shape.classes):
                raise ValueError(f"its result has the shape {tuple(logits.shape)}")
        except Exception as error:  # each of a thousand architectures has its own way to refuse images
            raise InputError(
                f"The network {quote(self.model)} of {self.library} does not classify images of "
                f"{shape.size}x{shape.size} pixels with {shape.channels} channels ({reason(error)}); name another one."
            ) from error
        return net.train()

    def load_weights(self, net: Network) -> None:
        """Those of `weights`, but for a classifier of other classes, which keeps its initial ones.

        For grey images, those of a first convolution over colours are summed: it then sees them as equal colours.
        Raises InputError if the file is missing, holds anything but weights of this network, or cannot be fetched.
        """
        if not self.weights:
            return
        assert isinstance(net, _Wrapped)  # noqa: S101 - `network` makes no others
        own, state = net.net.state_dict(), self._read(net.shape.channels)
        with torch.random.fork_rng(devices=[]):
            other = self.create(net.shape.channels, net.shape.classes + 1).state_dict()
        classifier = {name for name, value in own.items() if other[name].shape != value.shape}
        fitting = fit_weights(state, own, classifier, quote(self.weights), f"{quote(self.model)} of {self.library}")
        net.net.load_state_dict({**own, **fitting})

    def normalisation(self) -> Normalisation:
        """As the library says of the published weights; InputError where it has no such network."""
        self._refuse_unknown()
        return self.published_normalisation()

    def size(self) -> dict[str, int | float | str]:
        """The name alone."""
        return {"model": self.model}

    def scaled(self, width: float) -> Self:
        """This network; InputError for any other width than 1."""
        if width != WIDTH:
            raise InputError(f"{self.library}'s networks have one width, {WIDTH:g}, but it was to be {width:g}.")
        return self

    def widths(self) -> Sequence[float]:
        """Width 1 alone."""
        return [WIDTH]

    def _refuse_unknown(self) -> None:
        if not self.is_known():
            known = self.names()
            raise InputError(
                f"{self.library} has no network {quote(self.model)}.{suggest(self.model, known)} Write "
                f"{self.library}:NAME; {self.list_names}() lists all {len(known):,} of them."
            )

    def _read(self, channels: int) -> Mapping[str, Any]:
        if self.weights != FETCHED:
            return read_weights(Path(self.weights))
        try:
            with tensors_only():
                return self.fetch(channels)
        except Exception as error:  # of the network, of the file system, or of the library
            raise InputError(
                f"{self.library} cannot fetch the weights of {quote(self.model)} ({reason(error)}); name a file of "
                f"them, or leave them out."
            ) from error


class _Wrapped(Network):
    """A network of a library that classifies images of `shape`."""

    def __init__(self, net: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.net = net
        self.shape = shape

    def outputs(self, images: Tensor) -> Outputs:
        """The logits; those of auxiliary classifiers, which some networks have in training, are left out."""
        logits = self.net(images)
        return Outputs(logits=getattr(logits, "logits", logits), taps=())
