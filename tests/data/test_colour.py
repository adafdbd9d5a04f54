from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.data import colour

TORCHVISION = {
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
}
AMOUNTS = {"brightness": (0.0, 0.6, 1.4), "contrast": (0.0, 0.6, 1.4), "saturation": (0.0, 0.6, 1.4)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(count: int, channels: int = 3) -> Tensor:
    """Random colours, among them grey, black and white pixels, and such with two equal channels."""
    images = torch.rand(count, channels, 6, 6, generator=seeded(9))
    images[:, :, 0, 0], images[:, :, 0, 1], images[:, :, 0, 2] = 0.0, 1.0, 0.3
    if channels == 3:
        images[:, 1, 1] = images[:, 0, 1]
        images[:, 2, 2] = images[:, 0, 2]
        images[:, 2, 3] = images[:, 1, 3]
    return images


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_of_a_batch_equals_torchvision_on_each_image(name, channels):
    images, amounts = pixels(3, channels), AMOUNTS.get(name, (-0.5, -0.1, 0.3))
    result = getattr(colour, name)(images, torch.tensor(amounts)[:, None, None, None])
    for image, changed, amount in zip(images, result, amounts, strict=True):
        torch.testing.assert_close(changed, TORCHVISION[name](image, amount), atol=2e-6, rtol=0)


def images(count: int) -> Tensor:
    return (pixels(count) * 255).round().to(torch.uint8)


def test_strength_zero_changes_nothing():
    assert torch.equal(colour.jitter(images(5), (0, 0, 0, 0), seeded()), images(5))


@pytest.mark.parametrize("number", range(4))
def test_each_strength_bounds_its_own_change(number):
    name = list(TORCHVISION)[number]
    strengths = [0.0] * 4
    strengths[number] = 0.4
    before = images(200)
    result = colour.jitter(before, strengths, seeded(1)).int()
    lowest, highest = (-0.4, 0.4) if name == "hue" else (0.6, 1.4)
    grid = torch.linspace(lowest, highest, 401)
    seen = []
    for image, changed in zip(before[:20], result[:20], strict=True):
        copies = image.float().div(255).expand(401, -1, -1, -1)
        candidates = (getattr(colour, name)(copies, grid[:, None, None, None]) * 255).round()
        distance = (candidates - changed).abs().amax((1, 2, 3))
        assert distance.min() <= 2  # half a step of the grid
        seen.append(float(grid[distance.argmin()]))
    assert len(set(seen)) > 15
    assert max(seen) - min(seen) > 0.5


def test_the_order_of_changes_is_each_images_own():
    count = 300
    image = images(1).expand(count, -1, -1, -1)

    def both(brightened: float, contrasted: float, first: str) -> Tensor:
        steps = [("brightness", brightened), ("contrast", contrasted)]
        result = image[:1].float() / 255
        for name, amount in steps if first == "brightness" else steps[::-1]:
            result = getattr(colour, name)(result, torch.full((1, 1, 1, 1), amount))
        return (result * 255).round()[0]

    generator = seeded(2)
    result = colour.jitter(image, (0.9, 0.9, 0, 0), generator)
    draws = torch.rand((count, 4), generator=seeded(2), dtype=torch.float64) * 1.8 + 0.1
    seen = set()
    for changed, amounts in zip(result[:60], draws[:60].tolist(), strict=True):
        fits = [
            first for first in ("brightness", "contrast") if torch.equal(both(*amounts[:2], first), changed.float())
        ]
        assert fits
        if len(fits) == 1:
            seen.add(fits[0])
    assert seen == {"brightness", "contrast"}


def test_jitter_is_a_function_of_the_seed():
    strengths, before = (0.4, 0.4, 0.4, 0.2), images(20)
    first, again, other = (colour.jitter(before, strengths, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, images(20))
