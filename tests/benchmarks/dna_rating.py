"""How long rating the paths of a block takes, over the time of the layers that it cannot do without.

    python tests/benchmarks/dna_rating.py [--case laptop paper] [--device cuda]

The floor counts the distinct beginnings of paths, layer by layer: each has to be computed once, on the images that its
batch norms are measured on and on those that are rated. Each is taken to cost what its candidate alone costs as a bare
module without gradients (expansion, depthwise convolution, squeeze-excitation, projection, residual), on maps of the
same shape; and each path one comparison with the teacher's maps. Both are measured in turns in one run, on a CPU in
seconds of processor time, which do not grow when other programs run. The maps that a block reads and those that it
should give are random: going through the teacher once is no part of rating paths.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median
from typing import Any, cast

import attrs
import torch
from nasplug_dna.distance import relative_l1, to_at_least_float32
from torch import Tensor

from nasplug.bench.timing import time_step
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv.network import MBConv
from nasplug.builtin.mbconv.supernet import MBConvSupernet
from nasplug.builtin.mbconv.supernet_block import MixedLayer
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.parts import Batch, Rater
from nasplug.supernets import PathRating
from nasplug.supernets.normalise import find_norms, measure_statistics
from nasplug.values import Genotype, ImageShape

CALLS = 8
"""How often a bare layer is computed in one look at the clock."""

Kind = tuple[int, str, str]
"""Which layer (counted from 0) of which cell, and which candidate."""


@attrs.frozen
class Case:
    """One block of one supernet, and the images that it is rated on."""

    space: MBConvSpace
    shape: ImageShape
    blocks: tuple[int, ...]
    calibration: int
    images: int
    batch: int
    paths: int


CASES = {
    # The digits: 1024 and 256 images at most, of which there are some 230 for rating.
    "laptop": Case(MBConvSpace(blocks=("small",), channels=16), ImageShape(1, 8, 10), (0, 1, 2), 256, 230, 256, 10_000),
    # The preset rates 20,000 paths on 4096 images of 224 pixels, and measures norms on 256.
    "paper": Case(MBConvSpace(blocks=("dna",), stem="imagenet"), ImageShape(3, 224, 1000), (2,), 4, 16, 8, 60),
}


class InMemorySource(Rater):
    """Compares with random maps what a block makes of random maps."""

    def __init__(self, net: MBConvSupernet, block: int, shape: ImageShape) -> None:
        self.block: int = block
        self.view = net.blocks()[block]
        self._shape = shape
        self._maps: dict[Batch, tuple[Tensor, Tensor]] = {}

    def inputs(self, batch: Batch) -> Sequence[Tensor]:
        """What the block reads."""
        return (self._of(batch)[0],)

    def rate(self, output: Tensor, batch: Batch) -> Tensor:
        """DNA's relative distance."""
        return relative_l1(to_at_least_float32(output), self._of(batch)[1])

    def _of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch not in self._maps:
            count, size, output = len(batch.labels), self.view.inputs, self.view.output
            assert output is not None
            read = (size[0].channels, size[0].size) if size else (self._shape.channels, self._shape.size)
            self._maps[batch] = (
                maps(batch, count, *read),
                maps(batch, count, output.channels, output.size),
            )
        return self._maps[batch]


def maps(batch: Batch, count: int, channels: int, size: int) -> Tensor:
    """Random maps (count, channels, size, size) on the device of a batch."""
    made = torch.randn(count, channels, size, size, device=batch.labels.device)
    return made.contiguous(memory_format=torch.channels_last)


def batches(count: int, batch: int, device: torch.device) -> list[Batch]:
    """So many images; what is rated are maps of other shapes, so they have no pixels."""
    sizes = [min(batch, count - first) for first in range(0, count, batch)]
    return [Batch(torch.empty(size, 0, device=device), torch.zeros(size, device=device).long()) for size in sizes]


def beginnings(paths: Sequence[Genotype], block: int) -> Counter[Kind]:
    """How many distinct beginnings of these paths end with each layer."""
    seen: set[tuple[str, ...]] = set()
    for path in paths:
        (cell,), *layers = (path[place] for place in path.places)
        operations = [operation for (operation,) in layers]
        seen |= {(cell, *operations[: end + 1]) for end in range(len(operations))}
    return Counter((len(each) - 2, each[0], each[-1]) for each in seen)


def bare(net: MBConvSupernet, rating: PathRating, kind: Kind) -> Callable[[], None]:
    """Computes one candidate `CALLS` times on maps of all batches, as rating does it."""
    step, cell, operation = kind
    mixed = cast("MixedLayer", net.body[cast("int", rating.rater.block)].get_submodule(f"steps.{step}.{cell}"))
    layer, layout = cast("MBConv", mixed.candidates[operation]), mixed.layout
    norms = find_norms(layer)
    measured, rated = (
        [maps(batch, len(batch.labels), layout.in_channels, layout.size) for batch in several]
        for several in (rating.calibration, rating.images)
    )

    def once(x: Tensor) -> Tensor:
        branch: Tensor = layer(x)
        return x + branch if layout.residual else branch

    @torch.no_grad()
    def calls() -> None:
        net.eval()
        for _ in range(CALLS):
            with measure_statistics(norms):
                kept = [once(x) for x in measured]
            kept += [once(x) for x in rated]

    return calls


def comparisons(rating: PathRating) -> Callable[[], None]:
    """Compares all batches `CALLS` times."""
    output = rating.rater.view.output
    assert output is not None
    outputs = [maps(batch, len(batch.labels), output.channels, output.size) for batch in rating.images]

    @torch.no_grad()
    def calls() -> None:
        for _ in range(CALLS):
            for out, batch in zip(outputs, rating.images, strict=True):
                rating.rater.rate(out, batch)

    return calls


def rated(rating: PathRating, paths: Sequence[Genotype]) -> Callable[[], None]:
    """Rates all paths."""

    def whole() -> None:
        assert sum(1 for _ in rating.rate(paths)) == len(paths)

    return whole


def seconds(step: Callable[[], None], device: torch.device) -> float:
    """Of the processor, or of the device from when it has nothing left to do until it is done."""
    if device.type != "cpu":
        return time_step(step, device)
    started = time.process_time()
    step()
    return time.process_time() - started


def rows(name: str, case: Case, device: torch.device, repeats: int) -> Iterator[str]:
    """The row of each block of a case."""
    torch.manual_seed(0)
    net = case.space.supernet(case.shape).to(device).to(memory_format=torch.channels_last)
    net.choices.relaxation = SinglePath().relax
    for block in case.blocks:
        paths = list(case.space.paths(block).select(case.paths, Random(0)))
        rating = PathRating(
            net,
            case.space,
            InMemorySource(net, block, case.shape),
            batches(case.calibration, case.batch, device),
            batches(case.images, case.batch, device),
        )
        counts = beginnings(paths, block)
        layers = {kind: bare(net, rating, kind) for kind in counts}
        compared = comparisons(rating)
        for warm in (*layers.values(), compared):
            warm()
        ratios, whole, floors = [], [], []
        rate = rated(rating, paths)
        for number in range(repeats):
            whole.append(seconds(rate, device))
            assert rating.evaluations == (number + 1) * counts.total()
            floor = len(paths) * seconds(compared, device) / CALLS
            floor += sum(counts[kind] * seconds(layer, device) / CALLS for kind, layer in layers.items())
            floors.append(floor)
            ratios.append(whole[-1] / floor)
        yield (
            f"| {name} | {block} | {len(paths)} | {counts.total()} | {median(floors):.2f} | {median(whole):.2f} | "
            f"{median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--blocks", nargs="+", type=int, help="which blocks")
    parser.add_argument("--calibration", type=int, help="images that norms are measured on")
    parser.add_argument("--images", type=int, help="images that are rated")
    parser.add_argument("--batch", type=int, help="images in a batch")
    parser.add_argument("--paths", type=int, help="paths that are rated, at most")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    given = vars(parser.parse_args())
    names, repeats, device = given.pop("case"), given.pop("repeats"), torch.device(given.pop("device"))
    torch.set_num_threads(given.pop("threads"))
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    print("| case | block | paths | layers | floor, s | rating, s | ratio | lowest to highest |\n" + "|---" * 8 + "|")
    for name in names:
        for row in rows(name, attrs.evolve(CASES[name], **chosen), device, repeats):
            print(row, flush=True)


if __name__ == "__main__":
    main()
