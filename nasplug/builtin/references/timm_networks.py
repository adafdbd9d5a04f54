"""Networks of the package timm: timm:NAME, with initial or with trained weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
from torch import Tensor, nn

from nasplug.builtin.references.library_networks import LibraryNetwork, Normalisation
from nasplug.errors import InputError, reason


@attrs.frozen
class TimmReference(LibraryNetwork):
    """A network of timm (`timm:resnet18`); drop path and dropout are off.

    With `weights` its training starts from trained weights, which found and random networks do not have. It needs the
    package timm: `pip install 'nasplug[timm]'`.
    """

    library: ClassVar[str] = "timm"
    list_names: ClassVar[str] = "timm.list_models"

    def names(self) -> Sequence[str]:
        """All names without the tag of their weights; InputError where timm is missing."""
        names: Sequence[str] = _import_timm().list_models()
        return names

    def is_known(self) -> bool:
        """Whether timm has the network; a name may have a tag, as in resnet18.a1_in1k."""
        return bool(_import_timm().is_model(self.model))

    def create(self, channels: int, classes: int) -> nn.Module:
        """The network as timm makes it."""
        net: nn.Module = _import_timm().create_model(
            self.model, pretrained=False, num_classes=classes, in_chans=channels
        )
        return net

    def fetch(self, channels: int) -> Mapping[str, Tensor]:
        """What timm fetches; it sums or repeats the weights of the first layer over channels."""
        fetched: nn.Module = _import_timm().create_model(self.model, pretrained=True, in_chans=channels)
        return fetched.state_dict()

    def published_normalisation(self) -> Normalisation:
        """As timm says of the published weights."""
        published = _import_timm().get_pretrained_cfg(self.model)
        return tuple(published.mean), tuple(published.std)


def _import_timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise InputError(
            f"Networks of timm need the package timm, which cannot be imported ({reason(error)}): "
            f"pip install 'nasplug[timm]'."
        ) from error
