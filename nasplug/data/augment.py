"""Augmentation of whole batches, on the device of the images.

All random numbers are drawn on the CPU from a generator that the caller seeds, so a seed gives the same batch on every
device, and the global random state is neither read nor changed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.data.boxes import random_resized_crop
from nasplug.parts.transfer import send


def augment(images: Tensor, generator: torch.Generator, policy: str, *, flips: bool, shift: int) -> Tensor:
    """A randomly changed copy of uint8 images (N, C, H, W), C 1 or 3.

    `policy` is one of "none"; "standard", a shift by up to `shift` pixels in each direction into zeros, then a mirror
    image with probability 1/2 if `flips`; "imagenet", a random box scaled up to the whole, then the same mirror image;
    "autoaugment" and "imagenet-autoaugment", which let the AutoAugment policy learnt on CIFAR-10 or ImageNet follow (on
    grey images its colour operations do nothing).
    """
    if policy == "none":
        return images
    scaled = policy.startswith("imagenet")
    if scaled:
        images = random_flip(random_resized_crop(images, generator), generator, flips=flips)
    else:
        images = shift_and_flip(images, generator, flips=flips, shift=shift)
    if not policy.endswith("autoaugment"):
        return images
    # Imported here because torchvision's transforms take longer to import than torch, and few runs need them.
    from nasplug.data.autoaugment import CIFAR, IMAGENET

    return (IMAGENET if scaled else CIFAR)(images, generator)


def shift_and_flip(images: Tensor, generator: torch.Generator, *, flips: bool, shift: int) -> Tensor:
    """Standard augmentation: pads by `shift` zeros, crops at a random place, mirrors left to right."""
    count, channels, height, width = images.shape
    draws = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    mirrored = torch.randint(0, 2, (count,), generator=generator) * flips
    draws = send(torch.cat([draws, mirrored[None]]), images.device)
    rows = draws[0, :, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = draws[1, :, None] + torch.where(draws[2, :, None] == 1, width - 1 - columns, columns)
    padded = torch.nn.functional.pad(images, (shift, shift, shift, shift))
    # One gather for all: index (N, C, H, W) by image, channel, row of this image, column of this image.
    image = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def random_flip(images: Tensor, generator: torch.Generator, *, flips: bool) -> Tensor:
    """A copy of images (N, C, H, W), each with probability 1/2 turned left to right, if `flips`."""
    mirrored = send(torch.randint(0, 2, (len(images),), generator=generator) * flips, images.device)
    return torch.where(mirrored[:, None, None, None] == 1, images.flip(3), images)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 images (N, C, H, W) as float32 in channels-last layout, with the given mean and deviation removed.

    `mean` and `std` (C,) are float32 on the scale from 0 to 1, on the device of the images.
    """
    scaled = images.to(dtype=torch.float32, memory_format=torch.channels_last).div_(255)
    return scaled.sub_(mean[:, None, None]).div_(std[:, None, None])


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A copy of normalised images with a square of zeros in each, `side` pixels wide.

    Its centre is anywhere in the image, so the border may cut it off (DeVries and Taylor, 2017).
    """
    count, _, height, width = images.shape
    top = torch.randint(0, height, (count,), generator=generator) - side // 2
    left = torch.randint(0, width, (count,), generator=generator) - side // 2
    corners = send(torch.stack([top, left]), images.device)
    down = torch.arange(height, device=images.device) - corners[0, :, None]
    right = torch.arange(width, device=images.device) - corners[1, :, None]
    inside = ((down >= 0) & (down < side))[:, :, None] & ((right >= 0) & (right < side))[:, None, :]
    return images.masked_fill(inside[:, None], 0.0).contiguous(memory_format=torch.channels_last)
