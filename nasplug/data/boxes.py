"""Random boxes in images: those that a crop keeps and those that random erasing covers.

As in `augment`, all random numbers are drawn on the CPU from the caller's generator, always the same number of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts.transfer import send

TRIES = 10
"""Boxes sampled for each image, of which the first that fits is taken, as in torchvision."""
CROP_AREA, CROP_ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Ranges of area (as a share of the image) and aspect (width / height) of crops in training on ImageNet (Inception)."""
ERASE_AREA, ERASE_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""The same ranges for random erasing (Zhong et al., 2020, as in timm)."""


def sample_boxes(
    count: int,
    size: tuple[int, int],
    areas: tuple[float, float],
    aspects: tuple[float, float],
    generator: torch.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Samples a box for each of `count` images of `size` (height, width).

    Returns the boxes (top, left, height, width), int64 (count, 4), and whether one of TRIES fitted, bool (count,); if
    none did, the box is the whole image. The share of the area is uniform in `areas`, the logarithm of the aspect
    uniform in that of `aspects`, and the position uniform inside the image.
    """
    height, width = size
    tries = torch.rand((count, TRIES, 2), generator=generator, dtype=torch.float64).numpy()
    positions = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
    area = height * width * (areas[0] + (areas[1] - areas[0]) * tries[..., 0])
    low, high = map(math.log, aspects)
    aspect = np.exp(low + (high - low) * tries[..., 1])
    sides = np.stack([np.sqrt(area / aspect), np.sqrt(area * aspect)], -1).round().astype(np.int64)
    fits: npt.NDArray[np.bool_] = np.all((sides > 0) & (sides <= (height, width)), axis=-1)
    chosen = sides[np.arange(count), fits.argmax(1)]
    fitted: npt.NDArray[np.bool_] = np.any(fits, axis=1)
    chosen[~fitted] = height, width
    corners = (positions * (np.array(size) - chosen + 1)).astype(np.int64)
    return np.concatenate([corners, chosen], 1), fitted


def random_resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random box of each uint8 image (N, C, H, W), scaled bilinearly to the size of the image."""
    boxes, _ = sample_boxes(len(images), (images.shape[2], images.shape[3]), CROP_AREA, CROP_ASPECT, generator)
    # On a CPU one by one: there torchvision scales bytes ten times as fast as `grid_sample` does all boxes in one call.
    return scale_one_by_one(images, boxes) if images.device.type == "cpu" else scale_together(images, boxes)


def scale_one_by_one(images: Tensor, boxes: npt.NDArray[np.int64]) -> Tensor:
    """The part of each uint8 image (N, C, H, W) inside its box, of (N, 4), scaled to the size of the image."""
    # Imported here because torchvision's transforms take longer to import than torch, and few runs need them.
    from torchvision.transforms.v2 import functional as F

    scaled = torch.empty_like(images)
    for number, box in enumerate(boxes.tolist()):
        scaled[number] = F.resized_crop(images[number], *box, list(images.shape[2:]))
    return scaled


def scale_together(images: Tensor, boxes: npt.NDArray[np.int64]) -> Tensor:
    """The same up to rounding, in one call for all images."""
    top, left, down, right = send(torch.from_numpy(boxes).to(torch.float32), images.device).T[..., None]
    rows = _centres(top, down, images.shape[2])[:, :, None]
    columns = _centres(left, right, images.shape[3])[:, None, :]
    grid = torch.stack(torch.broadcast_tensors(columns, rows), -1)
    pixels = torch.nn.functional.grid_sample(images.to(torch.float32), grid, align_corners=False)
    return pixels.round_().to(torch.uint8)


def _centres(first: Tensor, length: Tensor, side: int) -> Tensor:
    """The centres of `side` pixels spread over `length` pixels from `first` on, on a scale from -1 to 1, (N, side)."""
    pixels = (torch.arange(side, device=first.device) + 0.5) * (length / side)
    # Beyond the centres of its outermost pixels, a box continues in their colour.
    inside = torch.minimum(pixels.clamp_(min=0.5), length - 0.5)
    return (first + inside) * (2 / side) - 1


def erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Random erasing: a copy of normalised images (N, C, H, W), each with a box of noise with this probability.

    The noise is standard normal in each pixel and channel. One image of noise is drawn for the whole batch; each box
    shows the part of it at its position.
    """
    count, _, height, width = images.shape
    boxes, fitted = sample_boxes(count, (height, width), ERASE_AREA, ERASE_ASPECT, generator)
    erased = fitted & (torch.rand(count, generator=generator, dtype=torch.float64).numpy() < probability)
    noise = torch.randn((1, *images.shape[1:]), generator=generator)
    noise = send(noise.contiguous(memory_format=torch.channels_last), images.device)
    boxes[~erased] = 0
    top, left, down, right = send(torch.from_numpy(boxes), images.device).T[..., None]
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    inside = ((rows >= top) & (rows < top + down))[:, :, None] & ((columns >= left) & (columns < left + right))[
        :, None, :
    ]
    return torch.where(inside[:, None], noise, images)
