"""Random changes of colour for a whole batch, as torchvision's `ColorJitter` does for one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from nasplug.parts.transfer import send

GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601, rounded as in torchvision)."""


def jitter(images: Tensor, strengths: Sequence[float], generator: torch.Generator) -> Tensor:
    """A copy of uint8 images (N, C, H, W), C 1 or 3, with randomly changed brightness, contrast, saturation and hue.

    `strengths` are four numbers s, in this order. The first three properties change by a factor uniform in
    [max(0, 1 - s), 1 + s], the hue by a share of the circle uniform in [-s, s]. Factors and the order of the changes
    are sampled for each image. Saturation and hue of grey images stay the same.
    """
    count = len(images)
    centre, reach = np.array([1.0, 1.0, 1.0, 0.0]), np.array(strengths)
    low = np.maximum(centre - reach, [0.0, 0.0, 0.0, -0.5])
    samples = torch.rand((count, 4), generator=generator, dtype=torch.float64).numpy()
    amounts = send(torch.from_numpy(low + (centre + reach - low) * samples).to(torch.float32), images.device)
    order = torch.rand((count, 4), generator=generator, dtype=torch.float64).numpy().argsort(1)
    # For each position in the order, the images sorted by the change that comes there.
    sorted_images = send(torch.from_numpy(order.argsort(0, kind="stable")), images.device)
    pixels = images.to(torch.float32) / 255
    for position in range(4):
        ends = np.bincount(order[:, position], minlength=4).cumsum().tolist()
        for number, (change, start, end) in enumerate(zip(CHANGES, [0, *ends[:-1]], ends, strict=True)):
            if strengths[number] > 0 and end > start:
                chosen = sorted_images[start:end, position]
                pixels[chosen] = change(pixels[chosen], amounts[chosen, number, None, None, None])
    return (pixels * 255).round_().to(torch.uint8)


def brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blends with black. As in the functions below, pixels are (N, C, H, W) from 0 to 1 and factors (N, 1, 1, 1)."""
    return (pixels * factor).clamp_(0, 1)


def contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blends with the mean luminance of each image."""
    mean = _grey(pixels).mean((1, 2, 3), keepdim=True)
    return (mean + (pixels - mean) * factor).clamp_(0, 1)


def saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blends with the grey image."""
    grey = _grey(pixels)
    return (grey + (pixels - grey) * factor).clamp_(0, 1)


def hue(pixels: Tensor, angle: Tensor) -> Tensor:
    """Rotates the hue by a share of the circle; the largest and smallest channel value of each pixel stay (HSV)."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.unbind(1)
    low, high = pixels.amin(1), pixels.amax(1)
    reach = high - low
    scale = torch.where(reach == 0, 1.0, reach)
    # The hue, in sixths of the circle.
    sixths = torch.where(
        high == red,
        (green - blue) / scale,
        torch.where(high == green, (blue - red) / scale + 2, (red - green) / scale + 4),
    )
    sixths = sixths + 6 * angle.squeeze(1)
    channels = []
    for first in (5, 3, 1):
        away = (sixths + first) % 6
        channels.append(high - reach * torch.minimum(away, 4 - away).clamp_(0, 1))
    return torch.stack(channels, 1)


CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brightness, contrast, saturation, hue)


def _grey(pixels: Tensor) -> Tensor:
    """The luminance of each pixel, (N, 1, H, W)."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels[:, :1], pixels[:, 1:2], pixels[:, 2:]
    return red * GREY[0] + green * GREY[1] + blue * GREY[2]
