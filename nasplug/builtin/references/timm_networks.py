"""Networks of the package timm, with initial weights: timm:NAME."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import InputError, quote, reason, suggest
from nasplug.parts import Network, Outputs, ReferenceNetwork, option
from nasplug.values import ImageShape

WIDTH = 1.0
"""The only one: timm's networks have the size that their name says."""


@attrs.frozen
class TimmReference(ReferenceNetwork):
    """A network of timm (`timm:resnet18`), trained from scratch as all others are; drop path and dropout are off.

    It needs the package timm: `pip install 'nasplug[timm]'`.
    """

    location_option: ClassVar[str] = "model"

    model: str = option("", "name of the network in timm, as in timm:resnet18")

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
            net = timm.create_model(self.model, pretrained=False, num_classes=shape.classes, in_chans=shape.channels)
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

    def scaled(self, width: float) -> Self:
        """This network; InputError for any other width than 1."""
        if width != WIDTH:
            raise InputError(f"timm's networks have one width, {WIDTH:g}, but it was to be {width:g}.")
        return self

    def widths(self) -> Sequence[float]:
        """Width 1 alone."""
        return [WIDTH]


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
