"""The policy for Pillow, against the published functions of Pillow on one image at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from nasplug.data import policies
from nasplug.data.augment import augment
from nasplug.data.autoaugment import CIFAR_PILLOW, apply_pillow_operation

GREY = (128, 128, 128)
LEVELS = {
    "ShearX": np.linspace(0, 0.3, 10),
    "ShearY": np.linspace(0, 0.3, 10),
    "TranslateX": np.linspace(0, 150 / 331, 10),
    "TranslateY": np.linspace(0, 150 / 331, 10),
    "Rotate": np.linspace(0, 30, 10),
    "Posterize": np.round(np.linspace(8, 4, 10)).astype(int),
    "Solarize": np.linspace(256, 0, 10),
}
ENHANCED = ("Brightness", "Color", "Contrast", "Sharpness")
SHEARS = ("ShearX", "ShearY")


def affine(image: Image.Image, data: tuple[float, ...], resample: Image.Resampling) -> Image.Image:
    fill = GREY if image.mode == "RGB" else 128
    return image.transform(image.size, Image.Transform.AFFINE, data, resample, fillcolor=fill)


def rotate(image: Image.Image, degrees: float) -> Image.Image:
    turned = image.convert("RGBA").rotate(degrees)
    return Image.composite(turned, Image.new("RGBA", turned.size, (128,) * 4), turned).convert(image.mode)


def published(image: Image.Image, name: str, level: int, sign: int) -> Image.Image:
    magnitude = LEVELS[name][level] if name in LEVELS else np.linspace(0, 0.9, 10)[level]
    bicubic, nearest = Image.Resampling.BICUBIC, Image.Resampling.NEAREST
    functions: dict[str, Callable[[], Image.Image]] = {
        "ShearX": lambda: affine(image, (1, magnitude * sign, 0, 0, 1, 0), bicubic),
        "ShearY": lambda: affine(image, (1, 0, 0, magnitude * sign, 1, 0), bicubic),
        "TranslateX": lambda: affine(image, (1, 0, magnitude * image.size[0] * sign, 0, 1, 0), nearest),
        "TranslateY": lambda: affine(image, (1, 0, 0, 0, 1, magnitude * image.size[1] * sign), nearest),
        "Rotate": lambda: rotate(image, magnitude),
        "Color": lambda: ImageEnhance.Color(image).enhance(1 + magnitude * sign),
        "Contrast": lambda: ImageEnhance.Contrast(image).enhance(1 + magnitude * sign),
        "Sharpness": lambda: ImageEnhance.Sharpness(image).enhance(1 + magnitude * sign),
        "Brightness": lambda: ImageEnhance.Brightness(image).enhance(1 + magnitude * sign),
        "Posterize": lambda: ImageOps.posterize(image, int(magnitude)),
        "Solarize": lambda: ImageOps.solarize(image, magnitude),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Invert": lambda: ImageOps.invert(image),
    }
    return functions[name]()


def noise(size: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(1, 256, (4, channels, size, size), generator=generator, dtype=torch.uint8)
    images[1] //= 3
    images[2] = torch.arange(size * size).view(size, size).div(size * size / 256).to(torch.uint8)  # smooth
    return images


@pytest.mark.parametrize(("name", "level"), sorted({*CIFAR_PILLOW.kinds, ("ShearX", 5), ("ShearX", 9), ("Rotate", 9)}))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [17, 32])
def test_operations_on_a_batch_equal_pillow_on_each_image(name: str, level: int, channels: int, size: int) -> None:
    images = noise(size, channels)
    for sign in (1,) if name == "Rotate" else (1, -1):
        changed = apply_pillow_operation(images, name, level, sign)
        assert changed.dtype == torch.uint8
        for image, result in zip(images, changed, strict=True):
            picture = Image.fromarray(image.movedim(0, -1).squeeze(-1).numpy())
            expected = np.array(published(picture, name, level, sign)).reshape(size, size, channels)
            difference = np.abs(result.movedim(0, -1).numpy().astype(int) - expected.astype(int))
            # torchvision blends with a mean that is not rounded, and stretches contrast without Pillow's table.
            assert difference.max() <= (2 if name in ENHANCED else 1 if name in ("AutoContrast", *SHEARS) else 0)
            if name in SHEARS:  # where Pillow is compiled with fused multiply-add, single pixels are truncated apart
                assert difference.astype(bool).mean() < 0.002


def test_the_highest_level_moves_15_of_32_pixels_into_grey() -> None:
    images = torch.arange(32, dtype=torch.uint8).expand(1, 3, 32, 32)
    right = apply_pillow_operation(images, "TranslateX", 9, 1)[0, 0, 0].tolist()
    assert right == [*range(15, 32), *[128] * 15]
    assert apply_pillow_operation(images, "TranslateX", 9, -1)[0, 0, 0].tolist() == [*[128] * 15, *range(17)]


def test_one_sub_policy_has_another_probability() -> None:
    pairs = zip(policies.CIFAR_PILLOW, policies.CIFAR, strict=True)
    different = [number for number, (ours, torchvisions) in enumerate(pairs, 1) if ours != torchvisions]
    assert different == [17]
    assert policies.CIFAR_PILLOW[16] == (("Equalize", 0.2, 0), ("Equalize", 0.8, 0))


def test_images_turn_in_one_direction_only() -> None:
    image = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
    image[..., 16, 28] = 255  # turned anticlockwise by 6.7 degrees, it lies above the middle
    batch = image.expand(600, -1, -1, -1)
    before, generator = batch.clone(), torch.Generator().manual_seed(0)
    kinds, signs = CIFAR_PILLOW.sample(600, torch.Generator().manual_seed(0))
    turned = CIFAR_PILLOW.kinds.index(("Rotate", 2))
    chosen = torch.from_numpy((kinds[:, 0] == turned) & (kinds[:, 1] < 0))
    assert {1, -1} == set(signs[chosen.numpy(), 0])
    places = {tuple(place) for place in CIFAR_PILLOW(batch, generator)[chosen, 0].eq(255).nonzero()[:, 1:].tolist()}
    assert places
    assert all(row < 16 for row, _ in places)
    assert torch.equal(batch, before)


def test_the_policy_belongs_to_its_name() -> None:
    images = noise(8, 3).repeat(30, 1, 1, 1)
    ours, torchvisions = (
        augment(images, torch.Generator().manual_seed(1), name, flips=True, shift=1)
        for name in ("autoaugment-pillow", "autoaugment")
    )
    assert 0.05 < float((ours != torchvisions).flatten(1).any(1).float().mean()) < 0.6
