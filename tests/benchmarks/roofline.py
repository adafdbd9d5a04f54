"""How far the step of a supernet is from what the machine could do at best.

    python tests/benchmarks/roofline.py --method darts --batch 64 [--device cuda]

What has to be computed and moved is told in work.py. What the machine can is measured in the same run: the product of
two matrices of 1024 x 1024 in the precision of the maps (8192 x 8192 on a GPU), and the copy of a tensor far larger
than the caches; the best of several. A layer takes at least the longer of the times of its operations at that rate and
of its bytes at that one, and the roofline of a step is the sum over its layers, forward and backward. Maps that stay in
a cache from one layer to the next are not moved: steps of small maps can come nearer to the roofline than large ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import attrs
import torch
from steps import add_options, chosen, heading
from work import Work, total, work_of

from nasplug.bench import measure
from nasplug.bench.timing import time_step
from nasplug.runs.memory import keep_freed_memory

TRIES = 10
COPIED = 2**28
"""Bytes of the tensor that is copied."""


@attrs.frozen
class Machine:
    """What a machine can."""

    operations: float
    """A second, in matrix products."""
    bytes: float
    """A second, to and from memory together."""
    map_bytes: int
    """Of a number of a map."""

    @classmethod
    def measured(cls, device: torch.device, bf16: bool) -> Machine:
        """This one."""
        dtype = torch.bfloat16 if bf16 else torch.float32
        side = 8192 if device.type == "cuda" else 1024
        one, other, product = (torch.randn(side, side, device=device).to(dtype) for _ in range(3))
        source = torch.ones(COPIED // 4, device=device)
        target = torch.empty_like(source)
        return cls(
            operations=2 * side**3 / best(lambda: torch.mm(one, other, out=product), device),
            bytes=2 * COPIED / best(lambda: target.copy_(source), device),
            map_bytes=one.element_size(),
        )

    def bounds(self, work: list[Work]) -> tuple[float, float, float]:
        """Seconds by operations, by bytes, and by the longer of both for each layer."""
        pairs = [(each.operations / self.operations, each.moved(self.map_bytes) / self.bytes) for each in work]
        return sum(one for one, _ in pairs), sum(other for _, other in pairs), sum(map(max, pairs))


def best(step: Callable[[], object], device: torch.device) -> float:
    """The least seconds of several tries."""

    def once() -> None:
        step()

    return min(time_step(once, device) for _ in range(TRIES))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    keep_freed_memory()
    steps = chosen(given)
    work = work_of(steps.plain, steps.images)
    before = Machine.measured(steps.device, steps.bf16)
    fast, plain = (median(each.seconds) for each in measure([steps.fast, steps.reference], steps.device, given.repeats))
    after = Machine.measured(steps.device, steps.bf16)
    machine = Machine(max(before.operations, after.operations), max(before.bytes, after.bytes), before.map_bytes)
    print(
        f"{heading(given, steps)}: {machine.operations / 1e9:.1f} GFLOP/s in matrix products, "
        f"{machine.bytes / 1e9:.1f} GB/s in copies\n"
    )
    print("| kind | | GFLOP | GB | s by operations | s by bytes | roofline, s |\n" + "|---" * 7 + "|")
    for kind in dict.fromkeys(each.kind for each in work):
        for backward in (False, True):
            part = [each for each in work if each.kind == kind and each.backward == backward]
            print(row(kind, "backward" if backward else "forward", part, machine))
    print(row("all", "", work, machine))
    roofline = machine.bounds(work)[2]
    print("\n| step | s | times the roofline |\n|---|---|---|")
    for name, seconds in (("fast", fast), ("plain", plain)):
        print(f"| {name} | {seconds:.4f} | {seconds / roofline:.1f} |")


def row(kind: str, direction: str, work: list[Work], machine: Machine) -> str:
    """One line of the table."""
    moved = sum(each.moved(machine.map_bytes) for each in work)
    bounds = " | ".join(f"{seconds:.4f}" for seconds in machine.bounds(work))
    return f"| {kind} | {direction} | {total(work, 'operations') / 1e9:.2f} | {moved / 1e9:.3f} | {bounds} |"


if __name__ == "__main__":
    main()
