"""Networks of the package timm: timm:NAME, with initial or with trained weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import InputError, quote, reason, suggest
from nasplug.parts import Network, Outputs, ReferenceNetwork, option, read_weights
from nasplug.values import ImageShape

WIDTH = 1.0
"""The only one: timm's networks have the size that their name says."""


@attrs.frozen
class TimmReference(ReferenceNetwork):
    """A network of timm (`timm:resnet18`); drop path and dropout are off.

    With `weights` its training starts from trained weights, which found and random networks do not have. It needs the
    package timm: `pip install 'nasplug[timm]'`.
    """

    location_option: ClassVar[str] = "model"

    model: str = option("", "name of the network in timm, as in timm:resnet18")
    weights: str = option(
        "",
        "weights that training starts from: a file, or `pretrained` for those that timm fetches; empty: random",
    )

    def network(self, shape: ImageShape) -> Network:
        """The network, without taps. InputError where timm is missing, has no such network, or it fails on such images.

        One image is classified to find that out.
        """
        timm = _import_timm()
        if not timm.is_model(self.model):
            known = timm.list_models()
            hint = suggest(self.model, known)
            raise InputError(
                f"timm has no network {quote(self.model)}.{hint} Write timm:NAME; timm.list_models() lists all "
                f"{len(known):,} of them."
            )
        try:
            net = _create(timm, self.model, shape.channels, shape.classes)
            with torch.no_grad():
                logits = net.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
            if logits.shape != (1, shape.classes):
                raise ValueError(f"its result has the shape {tuple(logits.shape)}")
        except Exception as error:  # each of a thousand architectures has its own way to refuse images
            raise InputError(
                f"The network {quote(self.model)} of timm does not classify images of {shape.size}x{shape.size} pixels "
                f"with {shape.channels} channels ({reason(error)}); name another one."
            ) from error
        return _Wrapped(net.train())

    def load_weights(self, net: Network) -> None:
        """Those of `weights`, as far as they fit: a classifier of other classes keeps its initial weights.

        Raises InputError if the file is missing, holds anything but weights of this network, or cannot be fetched.
        """
        if not self.weights:
            return
        assert isinstance(net, _Wrapped)  # noqa: S101 - `network` makes no others
        state = net.net.state_dict()
        fitting = {name: value for name, value in self._read(net).items() if _fits(value, state.get(name))}
        if 2 * len(fitting) < len(state):
            raise InputError(
                f"The weights {quote(self.weights)} are not of the network {quote(self.model)}: {len(fitting)} of its "
                f"{len(state)} tensors are among them in their shape; name others with timm.weights=FILE."
            )
        net.net.load_state_dict({**state, **fitting})

    def size(self) -> dict[str, int | float | str]:
        """The name alone."""
        return {"model": self.model}

    def _read(self, net: _Wrapped) -> Mapping[str, Tensor]:
        if self.weights != "pretrained":
            return read_weights(Path(self.weights))
        first = next(module for module in net.net.modules() if isinstance(module, nn.Conv2d | nn.Linear))
        channels = first.in_channels if isinstance(first, nn.Conv2d) else first.in_features
        try:
            fetched = _import_timm().create_model(self.model, pretrained=True, in_chans=channels)
        except Exception as error:  # of the network, of the file system, or of timm
            raise InputError(
                f"timm cannot fetch the weights of {quote(self.model)} ({reason(error)}); name a file with "
                f"timm.weights=FILE, or leave the option out."
            ) from error
        state: Mapping[str, Tensor] = fetched.state_dict()
        return state

    def scaled(self, width: float) -> Self:
        """This network; InputError for any other width than 1."""
        if width != WIDTH:
            raise InputError(f"timm's networks have one width, {WIDTH:g}, but it was to be {width:g}.")
        return self

    def widths(self) -> Sequence[float]:
        """Width 1 alone."""
        return [WIDTH]


def _create(timm: Any, model: str, channels: int, classes: int) -> nn.Module:
    net: nn.Module = timm.create_model(model, pretrained=False, num_classes=classes, in_chans=channels)
    return net


def _fits(value: Tensor, present: Tensor | None) -> bool:
    return present is not None and value.shape == present.shape


class _Wrapped(Network):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(logits=self.net(images), taps=())


def _import_timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise InputError(
            f"Networks of timm need the package timm, which cannot be imported ({reason(error)}): "
            f"pip install 'nasplug[timm]'."
        ) from error
