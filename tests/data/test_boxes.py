from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from nasplug.data.boxes import (
    erase,
    random_resized_crop,
    scale_one_by_one,
    scale_together,
)
from nasplug.parts.random_boxes import RandomBoxes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, size: int, channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, channels, size, size), generator=seeded(99), dtype=torch.uint8)


def sampled(count: int = 4000, size: int = 224, seed: int = 0):
    boxes, fitted = RandomBoxes.sample(count, seeded(seed)).fit((size, size))
    return boxes.T, fitted


def test_boxes_lie_within_the_image():
    (top, left, height, width), fitted = sampled()
    assert fitted.all()
    assert min(top.min(), left.min()) >= 0
    assert min(height.min(), width.min()) > 0
    assert max((top + height).max(), (left + width).max()) <= 224


def test_boxes_have_the_areas_and_aspects_of_inception():
    (_, _, height, width), _ = sampled()
    area, aspect = height * width / 224**2, width / height
    assert 0.078 < area.min() < 0.09
    assert 0.98 < area.max() <= 1
    assert 0.74 < aspect.min() < 0.76
    assert 1.32 < aspect.max() < 1.35
    assert abs(np.log(aspect).mean()) < 0.01


def test_boxes_are_distributed_as_those_of_torchvision():
    published, image = v2.RandomResizedCrop(224), torch.empty(3, 224, 224)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = [published.make_params([image]) for _ in range(3000)]
    (top, left, height, width), _ = sampled()
    for ours, name in ((top, "top"), (left, "left"), (height, "height"), (width, "width")):
        quartiles = np.quantile([box[name] for box in theirs], [0.25, 0.5, 0.75])
        np.testing.assert_allclose(np.quantile(ours, [0.25, 0.5, 0.75]), quartiles, atol=7)


def test_boxes_reach_every_edge():
    (top, left, height, width), _ = sampled(4000, 8)
    for near, far in ((top, top + height), (left, left + width)):
        assert (near == 0).any()
        assert (near > 2).any()
        assert (far == 8).any()
        assert (far < 6).any()


def test_boxes_are_a_function_of_the_seed():
    np.testing.assert_array_equal(sampled(50, seed=3)[0], sampled(50, seed=3)[0])
    assert (sampled(50, seed=3)[0] != sampled(50, seed=4)[0]).any()


def test_where_no_box_fits_it_is_the_whole_square():
    boxes, fitted = RandomBoxes.sample(3, seeded(), (2.0, 3.0)).fit((8, 8))
    assert boxes.tolist() == [[0, 0, 8, 8]] * 3
    assert not fitted.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_is_its_box_scaled_up(channels):
    images = noise(20, 12, channels)
    result = random_resized_crop(images, seeded(5))
    boxes, _ = RandomBoxes.sample(20, seeded(5)).fit((12, 12))
    for image, changed, (top, left, height, width) in zip(images, result, boxes, strict=True):
        box = image[:, top : top + height, left : left + width]
        # Bilinear, with pixels as areas, as images are scaled everywhere.
        expected = torch.nn.functional.interpolate(box[None].float(), (12, 12), mode="bilinear")[0]
        assert int((changed - expected).abs().max()) <= 1
    assert torch.equal(F.resized_crop(images[0], *boxes[0].tolist(), [12, 12]), result[0])
    assert result.dtype == torch.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_boxes_scaled_together_are_those_scaled_in_turn(channels):
    images = noise(40, 24, channels)[:, :, :, :17]
    boxes, _ = RandomBoxes.sample(40, seeded(5)).fit((24, 17))
    boxes[:4] = [0, 0, 24, 17], [3, 5, 1, 1], [23, 16, 1, 1], [0, 0, 1, 17]
    together = scale_together(images, boxes)
    assert together.dtype == torch.uint8
    assert int((together.int() - scale_one_by_one(images, boxes)).abs().max()) <= 1
    # Scaling bytes rounds twice, scaling numbers once.
    exact = scale_one_by_one(images.to(torch.float32), boxes)
    assert float((together - exact).abs().max()) < 0.501
    assert torch.equal(together[0], images[0])


def test_erasing_covers_one_box_with_noise_in_so_many_images():
    images = torch.full((1000, 3, 16, 16), 9.0)
    result = erase(images, 0.3, seeded())
    gone = (result != 9).any(1)
    assert 250 < int(gone.any((1, 2)).sum()) < 350
    for hole in gone[gone.any((1, 2))]:
        rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        assert hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    share = gone.float().mean((1, 2))[gone.any((1, 2))]
    assert share.min() >= 0.012  # 2 % of 256 pixels, rounded to whole sides
    assert 0.3 < share.max() < 0.37
    filled = result[(result != 9)]
    assert abs(float(filled.mean())) < 0.2
    assert 0.8 < float(filled.std()) < 1.2
    assert (images == 9).all()


def test_erasing_is_a_function_of_the_seed_and_its_probability():
    images = torch.randn(30, 1, 8, 8, generator=seeded(1))
    assert torch.equal(erase(images, 0.5, seeded(3)), erase(images, 0.5, seeded(3)))
    assert not torch.equal(erase(images, 0.5, seeded(3)), erase(images, 0.5, seeded(4)))
    assert (erase(images, 1.0, seeded()) != images).flatten(1).any(1).all()
