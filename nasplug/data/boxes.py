"""Random boxes in images: what a crop takes, and what random erasing covers.

As elsewhere here, all random numbers are drawn on the CPU from the caller's generator, always equally many.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts.transfer import send

TRIES = 10
"""Boxes drawn for each image until one fits; after that there is none, as in torchvision."""
CROPPED, CROP_ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Share of the area and aspect (width to height) of the boxes that training on ImageNet takes (Inception)."""
ERASED, ERASE_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""The same of the boxes that random erasing covers (Zhong et al., 2020, as in timm)."""


def sample_boxes(
    count: int,
    size: tuple[int, int],
    areas: tuple[float, float],
    aspects: tuple[float, float],
    generator: torch.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each of `count` images of `size` (height, width) a box (top, left, height, width), and whether one fits.

    Its share of the area is uniform in `areas`, the logarithm of its aspect uniform, its place anywhere inside the
    image. Where none of TRIES fits, the box is the whole image.
    """
    height, width = size
    draws = torch.rand((count, TRIES, 2), generator=generator, dtype=torch.float64).numpy()
    places = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
    area = height * width * (areas[0] + (areas[1] - areas[0]) * draws[..., 0])
    low, high = map(math.log, aspects)
    aspect = np.exp(low + (high - low) * draws[..., 1])
    sides = np.stack([np.sqrt(area / aspect), np.sqrt(area * aspect)], -1).round().astype(np.int64)
    fits: npt.NDArray[np.bool_] = np.all((sides > 0) & (sides <= (height, width)), axis=-1)
    chosen = sides[np.arange(count), fits.argmax(1)]
    found: npt.NDArray[np.bool_] = np.any(fits, axis=1)
    chosen[~found] = height, width
    corners = (places * (np.array(size) - chosen + 1)).astype(np.int64)
    return np.concatenate([corners, chosen], 1), found


def random_resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A box of each of the uint8 images (N, C, H, W), scaled (bilinearly) to their size."""
    boxes, _ = sample_boxes(len(images), (images.shape[2], images.shape[3]), CROPPED, CROP_ASPECT, generator)
    # One by one on a CPU, where torchvision scales bytes ten times as fast as sampling all boxes in one call would.
    return scale_one_by_one(images, boxes) if images.device.type == "cpu" else scale_together(images, boxes)


def scale_one_by_one(images: Tensor, boxes: npt.NDArray[np.int64]) -> Tensor:
    """The part of each uint8 image (N, C, H, W) in its box (N, 4), scaled to the size of the image."""
    # Imported here because torchvision's transforms take longer to import than torch, and few runs need them.
    from torchvision.transforms.v2 import functional as F

    scaled = torch.empty_like(images)
    for number, box in enumerate(boxes.tolist()):
        scaled[number] = F.resized_crop(images[number], *box, list(images.shape[2:]))
    return scaled


def scale_together(images: Tensor, boxes: npt.NDArray[np.int64]) -> Tensor:
    """The same in one call for all images, up to rounding."""
    top, left, down, right = send(torch.from_numpy(boxes).to(torch.float32), images.device).T[..., None]
    rows = _places(top, down, images.shape[2])[:, :, None]
    columns = _places(left, right, images.shape[3])[:, None, :]
    grid = torch.stack(torch.broadcast_tensors(columns, rows), -1)
    pixels = torch.nn.functional.grid_sample(images.to(torch.float32), grid, align_corners=False)
    return pixels.round_().to(torch.uint8)


def _places(first: Tensor, length: Tensor, side: int) -> Tensor:
    """Where `side` pixels, spread over a box from pixel `first` on, have their centres: from -1 to 1, (N, side)."""
    pixels = (torch.arange(side, device=first.device) + 0.5) * (length / side)
    # Pixels have areas; beyond the centres of its outermost pixels a box goes on in their colour.
    inside = torch.minimum(pixels.clamp_(min=0.5), length - 0.5)
    return (first + inside) * (2 / side) - 1


def erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """A copy of normalised images (N, C, H, W), in which with this probability noise covers a box of an image.

    The noise is normal, of mean 0 and deviation 1 in each pixel and channel. One field of noise is drawn for the batch;
    each box shows its own part of it.
    """
    count, _, height, width = images.shape
    boxes, found = sample_boxes(count, (height, width), ERASED, ERASE_ASPECT, generator)
    hit = found & (torch.rand(count, generator=generator, dtype=torch.float64).numpy() < probability)
    noise = torch.randn((1, *images.shape[1:]), generator=generator)
    noise = send(noise.contiguous(memory_format=torch.channels_last), images.device)
    boxes[~hit] = 0
    top, left, down, right = send(torch.from_numpy(boxes), images.device).T[..., None]
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    inside = ((rows >= top) & (rows < top + down))[:, :, None] & ((columns >= left) & (columns < left + right))[
        :, None, :
    ]
    return torch.where(inside[:, None], noise, images)
