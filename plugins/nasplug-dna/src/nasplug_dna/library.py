"""Networks of torchvision as teachers: where their blocks end, their weights from a file, the images that they read."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from nasplug.errors import InputError, choose_from
from nasplug.values import ImageShape

UNTRAINED = "random"
"""Stands for initial weights where a file is named."""
NESTED = ("state_dict", "model")
"""Under which of these a checkpoint keeps the weights, if it keeps more."""


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
"""Where the stages of a family end, by the beginning of its names; the longest that fits counts.

Stem and first stage of EfficientNet and MobileNet, which keeps the size that the stem gives, belong to no stage of
their own (DNA has its blocks so).
"""


def end_of_blocks(name: str, blocks: int) -> tuple[str, ...]:
    """The node after which each of so many blocks ends: spread evenly over the stages, the last at the end.

    Raises InputError if the network is not there, if its family is none of STAGES, or if it has fewer stages.
    """
    if name not in (known := models.list_models(module=models)):
        raise choose_from("network of torchvision", name, known)
    family = max((prefix for prefix in STAGES if name.startswith(prefix)), key=len, default=None)
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


class LibraryNetwork(nn.Module):
    """A network of torchvision, cut after each of its taps, so that no more is computed than is asked for."""

    scale: Tensor
    shift: Tensor

    def __init__(self, cuts: Sequence[nn.Module], scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.cuts = nn.ModuleList(cuts)  # they share their weights
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor, last: int) -> Sequence[Tensor]:
        """The features after taps 0 to `last`, of images as the run normalises them."""
        named: Mapping[str, Tensor] = self.cuts[last](images * self.scale + self.shift)
        return tuple(named.values())


def load_library(
    name: str, taps: Sequence[str], weights: str, shape: ImageShape, mean: Sequence[float], std: Sequence[float]
) -> LibraryNetwork:
    """The network with the weights of a file, for images of this shape; on the CPU.

    It expects images of `mean` and `std` per colour, on the scale from 0 to 1. Raises InputError for images that have
    neither one nor three channels, and if weights or taps do not fit the network.
    """
    if shape.channels not in (1, 3):
        raise InputError(
            f"Networks of torchvision read images of 3 colours (or 1, repeated), but these have {shape.channels} "
            f"channels; train a teacher of the search space instead (teacher.model='')."
        )
    network = build_network(name, empty=weights != UNTRAINED)
    if weights != UNTRAINED:
        load_weights(network, name, cut(network, name, taps).state_dict(), Path(weights))
    # Cut once the weights are there: a cut shares the layers of the network, but has copies of what holds them.
    cuts = [cut(network, name, taps[:number]) for number in range(1, len(taps) + 1)]
    were = (shape.mean or (0.0,), shape.std or (1.0,))
    (was_mean, was_std), (means, deviations) = (
        [torch.tensor(each)[:, None, None] for each in pair] for pair in (were, (mean, std))
    )
    # Factors for three colours repeat a single channel as well.
    return LibraryNetwork(cuts, was_std / deviations, (was_mean - means) / deviations)


def build_network(name: str, empty: bool) -> nn.Module:
    """The network as torchvision makes it; `empty` without memory for weights, if it can. InputError if unknown."""
    if name not in (known := models.list_models(module=models)):
        raise choose_from("network of torchvision", name, known)
    if empty:
        try:
            with torch.device("meta"):
                return cast("nn.Module", models.get_model(name, weights=None))
        except NotImplementedError:  # RegNet works its widths out with tensors, so it has to have memory
            pass
    return cast("nn.Module", models.get_model(name, weights=None))


def cut(network: nn.Module, name: str, taps: Sequence[str]) -> nn.Module:
    """What computes the features at the taps, by name; shares the weights.

    Raises InputError for taps that are not there, and for those in another order than they are computed in.
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


def load_weights(network: nn.Module, name: str, needed: Collection[str], path: Path) -> None:
    """Puts the weights of a file into a network that may be empty; none but those `needed` are asked for."""
    state = read_weights(path)
    wanted = network.state_dict()
    try:
        kept = OrderedDict((key, _like(state[key], wanted[key])) for key in needed if key in state and key in wanted)
        missing = [key for key in network.load_state_dict(kept, strict=False, assign=True)[0] if key in needed]
        if missing:
            raise RuntimeError(f"missing: {', '.join(missing)}")
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The weights '{path}' do not fit '{name}' of torchvision ({reason:.200}); name a file of that network."
        ) from error


def _like(given: Any, wanted: Tensor) -> Any:
    """Weights in the precision of the network's own, such as those that were saved in half precision."""
    if not isinstance(given, Tensor):
        return given
    if given.layout is not wanted.layout or given.is_floating_point() is not wanted.is_floating_point():
        raise TypeError(f"it holds {given.dtype} ({given.layout}) where {wanted.dtype} belongs")
    return given.to(wanted.dtype)


def read_weights(path: Path) -> Mapping[str, Any]:
    """The weights of a .safetensors file, or of a file of torch, of which nothing but tensors is read."""
    check_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # torch wonders at files of others; here they are refused
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what reading a pickle of another kind comes to, nobody can list
        raise InputError(
            f"The weights '{path}' cannot be read: the file is damaged, or holds more than tensors (code in it is "
            f"never run); name a file of weights alone, such as torch.save(network.state_dict(), FILE) writes."
        ) from error
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise InputError(f"The file '{path}' holds a {type(state).__name__}, but it must hold a state dict.")
    return state


def check_file(path: Path) -> None:
    """Raises InputError if there is no such file."""
    if not path.is_file():
        raise InputError(
            f"There is no file of weights '{path}' for the teacher; download it from torchvision beforehand and name "
            f"it: --set teacher.weights=FILE."
        )
