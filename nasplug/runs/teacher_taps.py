"""Which maps of a teacher that knows no search space are compared with the taps of a supernet."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.engine.converted_input import ConvertedInput
from nasplug.engine.trunk import TappedNetwork, TrunkMap, find_trunk_maps
from nasplug.errors import InputError, reason
from nasplug.parts import Network, Supernet
from nasplug.supernets import tap_shapes
from nasplug.values import ImageShape


def tap_as(net: Network, student: Supernet, shape: ImageShape) -> Network:
    """`net` with as many taps as `student`, of the same sizes as far as it has them; both read images of `shape`.

    Raises InputError if it has no such maps.
    """
    return _tap(net, [tap.size for tap in tap_shapes(student, shape)], shape)


def _tap(net: Network, sizes: Sequence[int], shape: ImageShape) -> Network:
    if isinstance(net, ConvertedInput):
        return ConvertedInput(_tap(net.net, sizes, net.read), net.given, net.read)
    try:
        maps = find_trunk_maps(net, shape)
    except Exception as error:  # each architecture has its own way to refuse images of another size
        raise InputError(
            f"The search compares the maps of the teacher's network with those of its supernet, but that network takes "
            f"no images of {2 * shape.size} pixels, which its maps are found with ({reason(error)}); take a "
            f"convolutional network."
        ) from error
    return TappedNetwork(net, choose_maps(maps, sizes, shape.size))


def choose_maps(maps: Sequence[TrunkMap], sizes: Sequence[int], image: int) -> list[TrunkMap]:
    """For each of `sizes`, in pixels, a map of that size, else of the next larger one.

    The last map of a size is taken where a single one is wanted; of those where several are, the last ones of equal
    shares. `image` is the side of the images that the network reads. Raises InputError if there are too few maps.
    """
    there = sorted({each.size for each in maps})
    nearest = [min((size for size in there if size >= wanted), default=None) for wanted in sizes]
    chosen = []
    for place, size in enumerate(nearest):
        of_size = [each for each in maps if each.size == size]
        number, count = nearest[:place].count(size) + 1, nearest.count(size)
        if count > len(of_size):
            raise _refusal(maps, there, sizes, image)
        chosen.append(of_size[number * len(of_size) // count - 1])
    return chosen


def _refusal(maps: Sequence[TrunkMap], there: Sequence[int], sizes: Sequence[int], image: int) -> InputError:
    """Says which maps there are, and which images may do."""
    counts = [f"{sum(each.size == size for each in maps)} of {size}x{size}" for size in reversed(there)]
    found = ", ".join(counts) or "none"
    factor = -(-max(sizes) // max(there)) if there else 1
    larger = f" larger images (--set run.teacher_resolution={max(2, factor) * image}) or" if there else ""
    return InputError(
        f"The search compares maps of {', '.join(f'{size}x{size}' for size in sizes)} pixels with those of the "
        f"teacher's network, which from images of {image}x{image} pixels has too few of that size or a larger one "
        f"({found}); try{larger} another teacher."
    )
