"""Random boxes in images: those that a crop keeps and those that random erasing covers.

As in `augment`, all random numbers are drawn on the CPU from the caller's generator, always the same number of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts.random_boxes import RandomBoxes
from nasplug.parts.transfer import send

ERASE_AREA, ERASE_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""Ranges of area and aspect of the boxes of random erasing (Zhong et al., 2020, as in timm)."""


def random_resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random box of each uint8 image (N, C, H, W), scaled bilinearly to the size of the image."""
    boxes, _ = RandomBoxes.sample(len(images), generator).fit((images.shape[2], images.shape[3]))
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
    boxes, fitted = RandomBoxes.sample(count, generator, ERASE_AREA, ERASE_ASPECT).fit((height, width))
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
