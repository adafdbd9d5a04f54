"""EfficientNets as timm has them: the names of their weights, and the padding and eps of those trained in TensorFlow.

Both libraries compute the same layers; torchvision numbers them where timm names them. Networks whose name in timm
begins with tf_ were trained in TensorFlow, whose padding SAME is not symmetric where a convolution has stride 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

TENSORFLOW: Mapping[str, str] = {
    **{f"tf_efficientnet_b{number}": f"efficientnet_b{number}" for number in range(8)},
    **{f"tf_efficientnetv2_{size}": f"efficientnet_v2_{size}" for size in "sml"},
}
"""timm's networks that were trained in TensorFlow, and the networks of torchvision that have the same layers."""
TENSORFLOW_EPS, TIMM_EPS = 1e-3, 1e-5
"""The eps of batch norms in TensorFlow's EfficientNets, and in those that were trained with timm."""

BLOCKS: tuple[Mapping[str, str], ...] = (
    {
        "conv_pw": "0.0",
        "bn1": "0.1",
        "conv_dw": "1.0",
        "bn2": "1.1",
        "se.conv_reduce": "2.fc1",
        "se.conv_expand": "2.fc2",
        "conv_pwl": "3.0",
        "bn3": "3.1",
    },
    {
        "conv_dw": "0.0",
        "bn1": "0.1",
        "se.conv_reduce": "1.fc1",
        "se.conv_expand": "1.fc2",
        "conv_pw": "2.0",
        "bn2": "2.1",
    },
    {"conv_exp": "0.0", "bn1": "0.1", "conv_pwl": "1.0", "bn2": "1.1"},
    {"conv": "0.0", "bn1": "0.1"},
)
"""For each kind of block the names of its layers, in timm and in torchvision.

The kinds are the inverted residual, the depthwise separable one, and the fused ones with and without expansion.
"""


def has_timm_names(state: Mapping[str, Any]) -> bool:
    """Whether a state dict names its tensors as timm's EfficientNets and MobileNets do."""
    return "conv_stem.weight" in state


def rename_weights(state: Mapping[str, Any], stages: int) -> dict[str, Any]:
    """The state dict of an EfficientNet of timm, under torchvision's names; other names stay.

    `stages` is the number of its modules in torchvision's `features`: the stem, the stages of blocks and the head.
    """
    outside = {
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        "conv_head": f"features.{stages - 1}.0",
        "bn2": f"features.{stages - 1}.1",
        "classifier": "classifier.1",
    }
    layers: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for key in state:
        block, layer, _ = _split(key)
        layers[block].add(layer)
    kinds = {block: next((kind for kind in BLOCKS if kind.keys() == layers[block]), {}) for block in layers if block}

    def rename(key: str) -> str:
        block, layer, tensor = _split(key)
        if not block:
            return f"{outside[layer]}.{tensor}" if layer in outside else key
        if layer not in kinds[block]:
            return key
        stage, number = block
        return f"features.{int(stage) + 1}.{number}.block.{kinds[block][layer]}.{tensor}"

    return {rename(key): value for key, value in state.items()}


def _split(key: str) -> tuple[tuple[str, ...], str, str]:
    """The stage and the number of the block of a tensor (none outside of blocks), its layer, and its name there."""
    match key.split("."):
        case ["blocks", stage, number, *layer, tensor] if stage.isdecimal() and number.isdecimal():
            return (stage, number), ".".join(layer), tensor
        case [*layer, tensor]:
            return (), ".".join(layer), tensor
    return (), "", key


def set_eps(network: nn.Module, eps: float) -> None:
    """Sets the eps of all batch norms."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps


def follow_tensorflow(network: nn.Module) -> None:
    """Lets a network of torchvision compute as TensorFlow does: padding SAME, and the eps of its batch norms."""
    set_eps(network, TENSORFLOW_EPS)
    for module in network.modules():
        # With stride 1 and an odd kernel, SAME is torchvision's symmetric padding.
        if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
            module.padding = (0, 0)
            module.register_forward_pre_hook(pad_same)


def pad_same(convolution: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The maps (N, C, H, W) that a convolution is about to read, padded with zeros as TensorFlow's SAME does.

    The result of stride s then has ceil(H / s) rows and ceil(W / s) columns. Of an odd number of zeros, the additional
    one is at the end.
    """
    if not isinstance(convolution, nn.Conv2d):
        raise TypeError("only convolutions are padded")
    (maps,) = inputs
    padding: list[int] = []
    for size, kernel, stride in zip(maps.shape[2:], convolution.kernel_size, convolution.stride, strict=True):
        zeros = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        padding = [zeros // 2, zeros - zeros // 2, *padding]  # F.pad begins with the last dimension
    return F.pad(maps, padding)
