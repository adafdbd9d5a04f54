"""Networks of torchvision: torchvision:NAME, with initial or with trained weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs
from torch import Tensor, nn
from torchvision import models

from nasplug.builtin.references.library_networks import LibraryNetwork, Normalisation

COLOURS = 3
"""The channels of images that these networks read."""


@attrs.frozen
class TorchvisionReference(LibraryNetwork):
    """A network of torchvision that classifies images (`torchvision:resnet18`).

    For images of other than three channels, its first convolution is replaced. With `weights` its training starts from
    trained weights, which found and random networks do not have.
    """

    library: ClassVar[str] = "torchvision"
    list_names: ClassVar[str] = "torchvision.models.list_models"

    def names(self) -> Sequence[str]:
        """All networks that classify images."""
        names: Sequence[str] = models.list_models(module=models)
        return names

    def create(self, channels: int, classes: int) -> nn.Module:
        """The network as torchvision makes it, but for the first convolution where channels are other than colours."""
        net: nn.Module = models.get_model(self.model, weights=None, num_classes=classes)
        if channels != COLOURS:
            _replace_first_convolution(net, channels)
        return net

    def fetch(self, channels: int) -> Mapping[str, Tensor]:
        """What torchvision fetches: the weights that it takes for the best ones."""
        fetched: nn.Module = models.get_model(self.model, weights="DEFAULT", progress=False)
        return fetched.state_dict()

    def published_normalisation(self) -> Normalisation:
        """As torchvision says of the published weights."""
        transforms = models.get_model_weights(self.model).DEFAULT.transforms()
        return tuple(transforms.mean), tuple(transforms.std)


def _replace_first_convolution(net: nn.Module, channels: int) -> None:
    name, first = next((name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d))
    parent, _, attribute = name.rpartition(".")
    other = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    setattr(net.get_submodule(parent), attribute, other)
