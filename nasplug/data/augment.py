"""Augmentation of whole batches, on the device of the images.

All random numbers are drawn on the CPU from a generator that the caller has seeded, so that a seed gives the same batch
on every device and the global random state is neither read nor changed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.data.boxes import random_resized_crop
from nasplug.parts.transfer import send


def augment(
    images: Tensor,
    generator: torch.Generator,
    policy: str,
    *,
    flips: bool,
    shift: int,
    cropped: bool = False,
    dims: int = 2,
) -> Tensor:
    """An augmented copy of uint8 images (N, C, H, W), C 1 or 3, or of signals (N, C, 1, L) with `dims` 1.

    `policy` is one of "none" (the images themselves); "standard": a shift by up to `shift` pixels in each direction,
    padded with zeros, then a horizontal flip with probability 1/2 if `flips`; "imagenet": a random resized crop, then
    the same flip; "autoaugment" and "imagenet-autoaugment": "standard" or "imagenet", then the AutoAugment policy
    learnt on CIFAR-10 or ImageNet, whose colour operations leave grey images unchanged; "autoaugment-pillow":
    "standard", then the policy of CIFAR-10 with the operations of `nasplug.data.pillow_operations`. With
    `cropped`, the images are random crops already, of the boxes that `generator` has drawn.

    Of signals, "standard" is a shift by up to `shift` samples in each direction; there are no other policies for them.
    """
    if policy == "none":
        return images
    if dims == 1:
        return shift_signals(images, generator, shift=shift)
    scaled = policy.startswith("imagenet")
    if scaled:
        images = images if cropped else random_resized_crop(images, generator)
        images = random_flip(images, generator, flips=flips)
    else:
        images = shift_and_flip(images, generator, flips=flips, shift=shift)
    if "autoaugment" not in policy:
        return images
    # Imported here because torchvision's transforms take longer to import than torch, and few runs need them.
    from nasplug.data.autoaugment import CIFAR, CIFAR_PILLOW, IMAGENET

    published = {"autoaugment": CIFAR, "autoaugment-pillow": CIFAR_PILLOW, "imagenet-autoaugment": IMAGENET}
    return published[policy](images, generator)


def shift_and_flip(images: Tensor, generator: torch.Generator, *, flips: bool, shift: int) -> Tensor:
    """Standard augmentation: pads with `shift` zeros on every side, crops at random, flips horizontally if `flips`."""
    count, channels, height, width = images.shape
    offsets = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    flipped = torch.randint(0, 2, (count,), generator=generator) * flips
    moves = send(torch.cat([offsets, flipped[None]]), images.device)
    rows = moves[0, :, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = moves[1, :, None] + torch.where(moves[2, :, None] == 1, width - 1 - columns, columns)
    padded = torch.nn.functional.pad(images, (shift, shift, shift, shift))
    # A single gather, indexed (N, C, H, W) by image, channel, row and column of that image.
    image = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def shift_signals(signals: Tensor, generator: torch.Generator, *, shift: int) -> Tensor:
    """A copy of signals (N, C, 1, L), each shifted by up to `shift` samples in either direction.

    Where a signal has moved away, its first or last value goes on.
    """
    count, channels, _, length = signals.shape
    offsets = send(torch.randint(-shift, shift + 1, (count,), generator=generator), signals.device)
    samples = (torch.arange(length, device=signals.device) - offsets[:, None]).clamp_(0, length - 1)
    return signals.gather(3, samples[:, None, None].expand(-1, channels, -1, -1))


def add_noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """A copy of normalised images (N, C, H, W) with normal noise of this standard deviation in every value."""
    noise = torch.randn(images.shape, generator=generator).mul_(deviation)
    return images + send(noise.contiguous(memory_format=torch.channels_last), images.device)


def random_flip(images: Tensor, generator: torch.Generator, *, flips: bool) -> Tensor:
    """A copy of images (N, C, H, W), each flipped horizontally with probability 1/2 if `flips`."""
    flipped = send(torch.randint(0, 2, (len(images),), generator=generator) * flips, images.device)
    return torch.where(flipped[:, None, None, None] == 1, images.flip(3), images)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Converts uint8 images (N, C, H, W) to float32 in channels-last layout and normalises each channel.

    `mean` and `std`, float32 (C,), refer to images on the scale from 0 to 1 and are on the device of the images. Values
    of float32 are on their own scale, and so are mean and standard deviation then.
    """
    if images.is_floating_point():
        centred = images.to(torch.float32).sub(mean[:, None, None]).div_(std[:, None, None])
        return centred.contiguous(memory_format=torch.channels_last)
    scaled = images.to(dtype=torch.float32, memory_format=torch.channels_last).div_(255)
    return scaled.sub_(mean[:, None, None]).div_(std[:, None, None])


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Cutout (DeVries and Taylor, 2017): a copy of normalised images, each with a square of zeros of `side` pixels.

    The centre of the square is uniform over the image, so that part of the square may lie outside. Of a signal, which
    has one row, `side` samples are zeros.
    """
    count, _, height, width = images.shape
    top = torch.randint(0, height, (count,), generator=generator) - side // 2
    left = torch.randint(0, width, (count,), generator=generator) - side // 2
    corners = send(torch.stack([top, left]), images.device)
    down = torch.arange(height, device=images.device) - corners[0, :, None]
    right = torch.arange(width, device=images.device) - corners[1, :, None]
    inside = ((down >= 0) & (down < side))[:, :, None] & ((right >= 0) & (right < side))[:, None, :]
    return images.masked_fill(inside[:, None], 0.0).contiguous(memory_format=torch.channels_last)
