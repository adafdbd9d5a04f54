"""Images whose classes only one operation of the toy space can tell apart."""

from __future__ import annotations

import torch

from nasplug.data import MemoryImages
from nasplug.parts import ImageData

SIZE = 8
PERIOD = 4


def stripes(count: int, seed: int = 0) -> ImageData:
    """`count` images of two planes with stripes of random phase, upright or level in each; four classes say which.

    Transposing a plane changes its part of the class, and nothing else about it. So what cannot tell an image from its
    transpose, such as a pool, a 1x1 convolution or nothing at all, cannot learn the classes, however it is weighed.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    level = torch.stack([labels % 2, labels // 2], 1).bool()
    phases = torch.randint(PERIOD, (count, 2), generator=generator)
    light = (torch.arange(SIZE) + phases[..., None]) % PERIOD < PERIOD // 2  # along the direction that changes
    planes = torch.where(light, 200, 56)[..., None, :].expand(-1, -1, SIZE, -1)
    planes = torch.where(level[..., None, None], planes.transpose(2, 3), planes)
    noise = torch.randint(-24, 25, planes.shape, generator=generator)
    train = MemoryImages((planes + noise).to(torch.uint8), labels.numpy())
    names = ("upright upright", "level upright", "upright level", "level level")
    return ImageData("stripes", names, SIZE, 2, train, None, flips=True, shift=1)
