"""The size of a network: channels and maps of its three stages. Supernet, stand-alone network and cost read it."""

from __future__ import annotations

import attrs

from nasplug.values import ImageShape, MapShape


@attrs.frozen
class NetworkPlan:
    """Three stages of equal cells; channels double and maps halve from one to the next."""

    images: ImageShape
    cells: int
    """Cells of each stage."""
    stages: tuple[MapShape, ...]
    """The maps of each stage."""


def plan(images: ImageShape, channels: int, cells: int) -> NetworkPlan:
    """The plan of a network whose first stage has so many channels."""
    half = (images.size + 1) // 2
    sizes = (images.size, half, (half + 1) // 2)
    stages = tuple(MapShape(channels * 2**number, size) for number, size in enumerate(sizes))
    return NetworkPlan(images, cells, stages)
