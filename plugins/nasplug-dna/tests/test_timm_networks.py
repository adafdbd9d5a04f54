"""EfficientNets of timm, against its computation written out over a state dict with its names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from nasplug_dna.frozen_teacher import freeze
from nasplug_dna.timm_networks import pad_same, rename_weights
from nasplug_dna.torchvision_networks import build_network, find_block_ends, load_network
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from nasplug.errors import InputError
from nasplug.values import ImageShape

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOUR = ImageShape(3, 32, 10)
State = dict[str, Tensor]

B0 = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
      (6, 3, 1, 320, 1))  # fmt: skip
"""EfficientNet-B0 by stage: expansion, kernel, stride, channels and layers (Tan and Le, 2019, table 1)."""


def make_timm_weights() -> State:
    """A state dict of timm's efficientnet_b0 with random values; the classifier has another number of classes."""
    generator = torch.Generator().manual_seed(0)
    state: State = {}

    def convolution(name: str, out: int, into: int, kernel: int = 1, bias: bool = False) -> None:
        scale = math.sqrt(2 / (into * kernel**2))
        state[f"{name}.weight"] = torch.randn(out, into, kernel, kernel, generator=generator).double() * scale
        if bias:
            state[f"{name}.bias"] = torch.randn(out, generator=generator).double()

    def norm(name: str, channels: int) -> None:
        for tensor, shift in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            state[f"{name}.{tensor}"] = shift + 0.2 * torch.rand(channels, generator=generator).double()

    convolution("conv_stem", 32, 3, 3)
    norm("bn1", 32)
    channels = 32
    for stage, (expansion, kernel, _, out, layers) in enumerate(B0):
        for layer in range(layers):
            name, inner, number = f"blocks.{stage}.{layer}", expansion * channels, 1
            if expansion > 1:
                convolution(f"{name}.conv_pw", inner, channels)
                norm(f"{name}.bn{number}", inner)
                number += 1
            convolution(f"{name}.conv_dw", inner, 1, kernel)
            norm(f"{name}.bn{number}", inner)
            convolution(f"{name}.se.conv_reduce", channels // 4, inner, bias=True)
            convolution(f"{name}.se.conv_expand", inner, channels // 4, bias=True)
            convolution(f"{name}.conv_pwl" if expansion > 1 else f"{name}.conv_pw", out, inner)
            norm(f"{name}.bn{number + 1}", out)
            channels = out
    convolution("conv_head", 1280, 320)
    norm("bn2", 1280)
    state |= {"classifier.weight": torch.zeros(3, 1280), "classifier.bias": torch.zeros(3)}
    return state


def compute_stages(state: State, images: Tensor, same: bool, eps: float) -> list[Tensor]:
    """The maps after stages 1 to 6; `same` is the padding of TensorFlow."""

    def convolve(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        kernel, groups = weight.shape[2], x.shape[1] // weight.shape[1]
        before = after = kernel // 2
        if same:
            rows = math.ceil(x.shape[2] / stride)
            total = max((rows - 1) * stride + kernel - x.shape[2], 0)
            before, after = total // 2, total - total // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, bias, stride, groups=groups)

    def normalise(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            state[f"{name}.{tensor}"][:, None, None] for tensor in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + eps).sqrt() * scale + shift

    x = F.silu(normalise("bn1", convolve("conv_stem", images, 2)))
    stages = []
    for stage, (expansion, _, stride, _, layers) in enumerate(B0):
        for layer in range(layers):
            name, before = f"blocks.{stage}.{layer}", x
            norms = iter([f"{name}.bn1", f"{name}.bn2", f"{name}.bn3"])
            if expansion > 1:
                x = F.silu(normalise(next(norms), convolve(f"{name}.conv_pw", x)))
            x = F.silu(normalise(next(norms), convolve(f"{name}.conv_dw", x, stride if layer == 0 else 1)))
            pooled = F.silu(convolve(f"{name}.se.conv_reduce", x.mean((2, 3), keepdim=True)))
            x = x * convolve(f"{name}.se.conv_expand", pooled).sigmoid()
            x = normalise(next(norms), convolve(f"{name}.conv_pwl" if expansion > 1 else f"{name}.conv_pw", x))
            x = x + before if x.shape == before.shape else x
        stages.append(x)
    return stages[1:]


@pytest.fixture(scope="module")
def timm_weights() -> State:
    return make_timm_weights()


@pytest.mark.parametrize(
    ("name", "same", "eps", "size"),
    [
        ("efficientnet_b0", False, 1e-5, 32),
        ("tf_efficientnet_b0", True, 1e-3, 32),
        ("tf_efficientnet_b0", True, 1e-3, 45),
    ],
)
def test_features_are_those_of_timm(
    timm_weights: State, tmp_path: Path, name: str, same: bool, eps: float, size: int
) -> None:
    torch.save({"state_dict": {f"module.{key}": value for key, value in timm_weights.items()}}, tmp_path / "w.pth")
    network = load_network(name, find_block_ends(name, 2), str(tmp_path / "w.pth"), COLOUR, MEAN, STD).double()
    single = {key: value.float().double() for key, value in timm_weights.items()}
    freeze(network, "eval")
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        features = network(images, 1)
        normalised = images * network.scale + network.shift
        stages = compute_stages(single, normalised, same, eps)
        for ours, timms in zip(features, (stages[2], stages[5]), strict=True):
            torch.testing.assert_close(ours, timms, rtol=1e-10, atol=1e-10)
        if size % 2 == 0:  # the padding matters
            other = compute_stages(single, normalised, not same, eps)[5]
            assert (features[1] - other).abs().mean() / features[1].std() > 0.1


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(8, 3, 2), (9, 3, 2), (8, 5, 2), (7, 5, 2), (8, 1, 2), (9, 3, 4)]
)
def test_same_padding_gives_one_pixel_for_each_stride(size: int, kernel: int, stride: int) -> None:
    convolution = nn.Conv2d(1, 1, kernel, stride, bias=False)
    maps = torch.randn(1, 1, size, size)
    padded = pad_same(convolution, (maps,))
    assert convolution(padded).shape[2:] == (math.ceil(size / stride),) * 2
    before = [int(padded.flatten(0, 2).ne(0).any(0).nonzero()[0])]
    missing = padded.shape[3] - size
    assert before == [missing // 2]


@pytest.mark.parametrize("name", ["efficientnet_b1", "efficientnet_v2_s"])
def test_every_tensor_of_torchvision_gets_one_of_timm(name: str) -> None:
    """The names of timm are made from the layers of torchvision's network, which are looked at one by one."""
    network = build_network(name, empty=True)
    features = network.get_submodule("features")
    names: dict[str, str] = {}
    for stage, blocks in list(enumerate(features))[1:-1]:  # type: ignore[arg-type]
        for number, block in enumerate(blocks):
            layers = list(block.block)
            fused = not any(type(layer).__name__ == "SqueezeExcitation" for layer in layers)
            if fused:
                timms = [("conv_exp", "bn1"), ("conv_pwl", "bn2")] if len(layers) == 2 else [("conv", "bn1")]
            elif len(layers) == 3:
                timms = [("conv_dw", "bn1"), ("se.conv_reduce", "se.conv_expand"), ("conv_pw", "bn2")]
            else:
                se = ("se.conv_reduce", "se.conv_expand")
                timms = [("conv_pw", "bn1"), ("conv_dw", "bn2"), se, ("conv_pwl", "bn3")]
            for place, (first, second) in enumerate(timms):
                squeeze = first.startswith("se.")
                path = f"features.{stage}.{number}.block.{place}"
                names[f"{path}.{'fc1' if squeeze else '0'}."] = f"blocks.{stage - 1}.{number}.{first}."
                names[f"{path}.{'fc2' if squeeze else '1'}."] = f"blocks.{stage - 1}.{number}.{second}."
    last = len(list(features.children())) - 1
    names |= {"features.0.0.": "conv_stem.", "features.0.1.": "bn1.", "classifier.1.": "classifier."}
    names |= {f"features.{last}.0.": "conv_head.", f"features.{last}.1.": "bn2."}
    own = list(network.state_dict())
    timm_keys = [timms + key.removeprefix(ours) for key in own for ours, timms in names.items() if key.startswith(ours)]
    assert len(set(timm_keys)) == len(own)
    assert list(rename_weights(dict.fromkeys(timm_keys, 0), last + 1)) == own


def test_a_file_that_does_not_go_with_the_named_network_is_refused(timm_weights: State, tmp_path: Path) -> None:
    torch.save(timm_weights, tmp_path / "tf_efficientnet_b0_aa.pth")
    torch.save(timm_weights, tmp_path / "b0.pth")
    with torch.device("meta"):
        names = models.efficientnet_b0().state_dict()
    torch.save({key: torch.zeros(value.shape) for key, value in names.items()}, tmp_path / "torchvision.pth")
    for name, file, reason in [
        ("efficientnet_b0", "tf_efficientnet_b0_aa.pth", r"TensorFlow.*set teacher.model=tf_efficientnet_b0"),
        ("tf_efficientnet_b0", "torchvision.pth", r"timm.*set teacher.model=efficientnet_b0"),
        ("mobilenet_v2", "b0.pth", r"EfficientNet only.*'mobilenet_v2'"),
        ("efficientnet_b1", "b0.pth", r"do not fit 'efficientnet_b1'.*missing: features.1.1"),
    ]:
        with pytest.raises(InputError, match=reason):
            load_network(name, find_block_ends(name, 1), str(tmp_path / file), COLOUR, MEAN, STD)
    with pytest.raises(InputError, match=r"Did you mean 'tf_efficientnet_b7'"):
        find_block_ends("tf_efficientnet_b7_aa", 6)
