"""Networks of torchvision as teachers: where their blocks end, and which images they expect.

Some of timm's have the same layers (`timm_networks`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from nasplug.errors import InputError, choose_from
from nasplug.values import ImageShape
from nasplug_dna.timm_networks import TENSORFLOW, follow_tensorflow
from nasplug_dna.weights import load_weights

UNTRAINED = "random"
"""The value of the option `weights` that keeps the initial weights."""


def _features(*numbers: int) -> tuple[str, ...]:
    return tuple(f"features.{number}" for number in numbers)


STAGES: Mapping[str, tuple[str, ...]] = {
    "convnext_": _features(1, 3, 5, 7),
    "efficientnet_b": _features(2, 3, 4, 5, 6, 7),
    "efficientnet_v2_": _features(2, 3, 4, 5, 6, 7),
    "efficientnet_v2_s": _features(2, 3, 4, 5, 6),
    "mobilenet_v2": _features(3, 6, 10, 13, 16, 17),
    "mobilenet_v3_large": _features(3, 6, 10, 12, 15),
    "mobilenet_v3_small": _features(1, 3, 6, 8, 11),
    "regnet_": tuple(f"trunk_output.block{number}" for number in (1, 2, 3, 4)),
    "resnet": tuple(f"layer{number}" for number in (1, 2, 3, 4)),
    "resnext": tuple(f"layer{number}" for number in (1, 2, 3, 4)),
    "vgg11": _features(2, 5, 10, 15, 20),
    "vgg11_bn": _features(3, 7, 14, 21, 28),
    "vgg13": _features(4, 9, 14, 19, 24),
    "vgg13_bn": _features(6, 13, 20, 27, 34),
    "vgg16": _features(4, 9, 16, 23, 30),
    "vgg16_bn": _features(6, 13, 23, 33, 43),
    "vgg19": _features(4, 9, 18, 27, 36),
    "vgg19_bn": _features(6, 13, 26, 39, 52),
    "wide_resnet": tuple(f"layer{number}" for number in (1, 2, 3, 4)),
}
"""The nodes after which the stages of a family of networks end, by the prefix of its names; the longest match counts.

The stem of EfficientNet and MobileNet and their first stage, which does not change the size of the maps, are part of
the next stage, as in DNA.
"""


def find_block_ends(name: str, blocks: int) -> tuple[str, ...]:
    """The nodes after which `blocks` blocks end, spread evenly over the network's stages; the last is the last stage's.

    Raises InputError if torchvision has no such network, if STAGES has no such family, or if it has fewer stages.
    """
    torchvision_name = find_network(name)
    family = max((prefix for prefix in STAGES if torchvision_name.startswith(prefix)), key=len, default=None)
    if family is None:
        raise InputError(
            f"Where the blocks of '{name}' end is not known here; name {blocks} nodes of torchvision's feature "
            f"extraction as teacher.taps."
        )
    stages = STAGES[family]
    if len(stages) < blocks:
        raise InputError(
            f"The supernet has {blocks} blocks, but '{name}' has {len(stages)} stages ({', '.join(stages)}); name "
            f"{blocks} nodes as teacher.taps, or take a teacher of more stages, such as efficientnet_b0."
        )
    return tuple(stages[(number + 1) * len(stages) // blocks - 1] for number in range(blocks))


class TorchvisionNetwork(nn.Module):
    """A network of torchvision, cut after each of its taps, so that only the features asked for are computed."""

    scale: Tensor
    shift: Tensor

    def __init__(self, cuts: Sequence[nn.Module], scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.cuts = nn.ModuleList(cuts)  # they share their weights
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor, last: int) -> Sequence[Tensor]:
        """The features (N, C, H, W) after taps 0 to `last`; `images` are normalised as in the run."""
        named: Mapping[str, Tensor] = self.cuts[last](images * self.scale + self.shift)
        return tuple(named.values())

    def graph_key(self) -> Hashable:
        """The key of operations that depend on nothing else: the cuts are traced, and do not train."""
        return ()


def load_network(
    name: str, taps: Sequence[str], weights: str, shape: ImageShape, mean: Sequence[float], std: Sequence[float]
) -> TorchvisionNetwork:
    """The network `name` with weights read from the file `weights`, for images of `shape`; on the CPU.

    `mean` and `std` are those of the images that it expects, per colour, on the scale from 0 to 1. Raises InputError
    for images that have neither one nor three channels, and if weights or taps do not fit the network.
    """
    if shape.channels not in (1, 3):
        raise InputError(
            f"Networks of torchvision read images of 3 colours (or 1, repeated), but these have {shape.channels} "
            f"channels; train a teacher of the search space instead (teacher.model='')."
        )
    network = build_network(name, empty=weights != UNTRAINED)
    if weights != UNTRAINED:
        load_weights(network, name, cut(network, name, taps).state_dict(), Path(weights))
    # Cut after the weights are loaded: a cut shares the layers of the network, but copies the modules that hold them.
    cuts = [cut(network, name, taps[:number]) for number in range(1, len(taps) + 1)]
    of_run = (shape.mean or (0.0,), shape.std or (1.0,))
    (run_mean, run_std), (own_mean, own_std) = (
        [torch.tensor(values)[:, None, None] for values in pair] for pair in (of_run, (mean, std))
    )
    # Broadcasting over three colours also repeats a single channel.
    return TorchvisionNetwork(cuts, run_std / own_std, (run_mean - own_mean) / own_std)


def find_network(name: str) -> str:
    """The network of torchvision that has the layers of the network `name`; InputError for an unknown name."""
    known = models.list_models(module=models)
    if name not in known and name not in TENSORFLOW:
        raise choose_from("network of torchvision", name, [*known, *TENSORFLOW])
    return TENSORFLOW.get(name, name)


def build_network(name: str, empty: bool) -> nn.Module:
    """A new network, with `empty` on the meta device if possible. InputError for an unknown name."""
    torchvision_name, network = find_network(name), None
    if empty:
        try:
            with torch.device("meta"):
                network = cast("nn.Module", models.get_model(torchvision_name, weights=None))
        except NotImplementedError:  # RegNet computes its widths with tensors, which need memory
            pass
    if network is None:
        network = cast("nn.Module", models.get_model(torchvision_name, weights=None))
    if name in TENSORFLOW:
        follow_tensorflow(network)
    return network


def cut(network: nn.Module, name: str, taps: Sequence[str]) -> nn.Module:
    """A module that returns the features at the taps, by name; it shares the weights of the network.

    Raises InputError for taps that the network does not have, and for taps that are not in the order of computation.
    """
    try:
        extractor = create_feature_extractor(network, list(taps))
    except ValueError as error:
        raise InputError(
            f"teacher.taps must name nodes of '{name}' ({str(error).partition('. Hint')[0]}); "
            f"torchvision.models.feature_extraction.get_graph_node_names lists them."
        ) from error
    order = tuple(next(iter(reversed(extractor.graph.nodes))).args[0])
    if order != tuple(taps):
        raise InputError(
            f"teacher.taps must name different nodes of '{name}' in the order in which they are computed, which is "
            f"{', '.join(order)}, but they are {', '.join(taps)}."
        )
    return cast("nn.Module", extractor)
