"""How time and memory of a supernet's step grow with its channels, cells, operations and batch, beside the work.

    python tests/benchmarks/growth.py [--sweep channels cells operations batch] [--device cuda]

The supernet is that of DARTS on images of 32 pixels. The work of a step has two measures, told in work.py and counted
on the plain supernet: the multiply-accumulates of all candidates, and the bytes that have to be moved at the least.
Pools and batch norms, for instance, have bytes only. "Over" is the time or memory divided by the work, relative to the
first row; the exponent is the slope of a line through the logarithms: 1 where both grow alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from statistics import median

import attrs
import numpy as np
import torch
from steps import add_machine, steps_of
from work import work_of

from nasplug.bench import measure
from nasplug.builtin.darts import Darts
from nasplug.runs.device import find_device, uses_bf16
from nasplug.runs.memory import keep_freed_memory
from nasplug.values import ImageShape

OPERATIONS = (
    "sep_conv_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
    "skip_connect",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "dil_conv_5x5",
    "none",
)
"""The first so many of them are the candidates of an edge: what has weights and what has none by turns."""
SWEEPS: Mapping[str, tuple[int, ...]] = {
    "channels": (8, 16, 32),
    "cells": (5, 8, 14, 20),
    "operations": (1, 3, 5, 8),
    "batch": (16, 32, 64, 128),
}
FASTER = 1.05
"""An exponent above this counts as growth beyond the work."""
HEADER = "varied | value | 10^9 MACs | GB | s | over MACs | over GB | MiB | over GB | grows faster than"


@attrs.frozen
class Point:
    """One supernet and its batch."""

    channels: int
    cells: int
    operations: int
    batch: int


@attrs.frozen
class Row:
    """What was counted and measured at one point."""

    macs: float
    moved: float
    """Bytes that have to be moved at the least."""
    seconds: float
    peak: int
    """Bytes held at most."""

    @classmethod
    def of(cls, point: Point, device: torch.device, bf16: bool, repeats: int) -> Row:
        """Measures it."""
        space = Darts(operations=OPERATIONS[: point.operations], cells=point.cells, channels=point.channels)
        steps = steps_of(space, ImageShape(3, 32, 10), point.batch, device, bf16)
        work = work_of(steps.plain, steps.images)
        macs = sum(each.operations for each in work if not each.backward) / 2
        (measured,) = measure([steps.fast], device, repeats)
        moved = sum(each.moved(2 if bf16 else 4) for each in work)
        return cls(macs, moved, median(measured.seconds), measured.peak_memory_bytes)


PAIRS = (("seconds", "macs"), ("seconds", "moved"), ("peak", "moved"))
"""What grows, and the work that it is compared with."""


def table(name: str, values: list[int], rows: list[Row]) -> Iterator[str]:
    """The rows of a sweep, and the exponents."""
    columns = {field: np.array([getattr(row, field) for row in rows], dtype=float) for field in attrs.fields_dict(Row)}
    over = [columns[cost] / columns[work] for cost, work in PAIRS]
    for value, row, *relative in zip(values, rows, *(each / each[0] for each in over), strict=True):
        by_macs, by_bytes, memory = (f"{each:.2f}" for each in relative)
        yield (
            f"| {name} | {value} | {row.macs / 1e9:.2f} | {row.moved / 1e9:.2f} | {row.seconds:.3f} | {by_macs} | "
            f"{by_bytes} | {row.peak / 2**20:.0f} | {memory} | |"
        )
    if len(rows) > 1:
        slopes = [float(np.polyfit(np.log(columns[work]), np.log(columns[cost]), 1)[0]) for cost, work in PAIRS]
        told = ("MACs (time)", "bytes (time)", "bytes (memory)")
        faster = [what for what, slope in zip(told, slopes, strict=True) if slope > FASTER]
        by_macs, by_bytes, memory = (f"{slope:.2f}" for slope in slopes)
        yield f"| {name} | exponent | | | | {by_macs} | {by_bytes} | | {memory} | {', '.join(faster) or 'nothing'} |"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", nargs="+", choices=tuple(SWEEPS), default=tuple(SWEEPS))
    parser.add_argument("--up-to", type=int, help="leaves out larger values of a sweep")
    for field, default in (("channels", 8), ("cells", 5), ("operations", 8), ("batch", 16)):
        parser.add_argument(f"--{field}", type=int, default=default, help="where it is not varied")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bf16"))
    add_machine(parser)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    device = find_device(given.device)
    bf16 = uses_bf16(given.precision, device)
    home = Point(given.channels, given.cells, given.operations, given.batch)
    print(f"| {HEADER} |\n{'|---' * (HEADER.count('|') + 1)}|")
    for name in given.sweep:
        values = [value for value in SWEEPS[name] if given.up_to is None or value <= given.up_to]
        rows = [Row.of(attrs.evolve(home, **{name: value}), device, bf16, given.repeats) for value in values]
        print("\n".join(table(name, values, rows)), flush=True)


if __name__ == "__main__":
    main()
