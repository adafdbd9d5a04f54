"""Where the time of a supernet's step goes, by kind of operation, beside the plain supernet.

    python tests/benchmarks/profile_kinds.py --method darts --batch 16 [--device cuda]

Counted is the time of every operation itself, without those that it calls: on a CPU that of the thread, on a GPU that
of its kernels. Convolutions are told apart by the shapes of their kernels; matrix products are 1x1 convolutions (and
the classifier). What runs within the backward pass counts there, also where it is a forward convolution. The profiler
makes small operations look longer than they are, so times are shown beside those of steps that nobody watches.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from steps import add_options, chosen, heading
from torch.profiler import ProfilerActivity, profile

from nasplug.bench import measure
from nasplug.bench.timing import Step, synchronize
from nasplug.runs.memory import keep_freed_memory

BACKWARD = "autograd::engine::evaluate_function"
"""Starts the name of what the backward pass consists of."""
MATRIX = {"mm", "addmm", "bmm", "baddbmm", "matmul", "linear"}
COPIES = {"cat", "stack", "copy", "clone", "contiguous", "to", "to_copy", "constant_pad_nd", "flip", "fill", "zero"}
ELEMENTWISE = {"add", "sub", "rsub", "mul", "div", "neg", "relu", "clamp", "clamp_min", "threshold_backward", "where"}
ELEMENTWISE |= {"sum", "mean", "pow", "sqrt", "rsqrt", "lerp", "addcmul", "exp", "silu", "silu_backward", "sigmoid"}
KINDS = (
    "depthwise convolution, forward",
    "depthwise convolution, backward",
    "1x1 convolution, forward",
    "1x1 convolution, backward",
    "other convolution, forward",
    "other convolution, backward",
    "batch norm, forward",
    "batch norm, backward",
    "pools",
    "copies, concatenations, filling",
    "elementwise and sums",
    "rest",
)


def kind_of(event: Any) -> str:
    """The kind of a profiled operation."""
    name = event.name.removeprefix("aten::").strip("_")
    if not event.name.startswith("aten::"):
        return "rest"  # autograd's engine, and functions in Python
    direction = "backward" if within_backward(event) else "forward"
    if "conv" in name:
        return f"{convolution(name, event.input_shapes)}, {direction}"
    if name in MATRIX:
        return f"1x1 convolution, {direction}"
    if "batch_norm" in name or name == "var_mean":
        return f"batch norm, {direction}"
    if "pool" in name:
        return "pools"
    if name in COPIES:
        return "copies, concatenations, filling"
    return "elementwise and sums" if name in ELEMENTWISE else "rest"


def convolution(name: str, shapes: Sequence[Sequence[int]]) -> str:
    """Which convolution it is, by the shapes of its map and its kernel (outside, inside / groups, k, k)."""
    x, kernel = shapes[1:3] if name.endswith("backward") else shapes[:2]
    if list(kernel[2:]) == [1, 1]:
        return "1x1 convolution"
    return "depthwise convolution" if kernel[1] == 1 and x[1] > 1 else "other convolution"


def within_backward(event: Any) -> bool:
    """Whether an operation is part of the backward pass."""
    while event is not None and not event.name.startswith(BACKWARD):
        event = event.cpu_parent
    return event is not None


def profiled(step: Step, device: torch.device, repeats: int) -> Counter[str]:
    """Seconds of a step by kind.

    The kinds come from a first profile, which records shapes. That keeps all maps alive until its end, so that the step
    takes memory page by page and is up to three times as slow; times are those of a second one, which records none.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's library talks to stderr about itself
    shaped, timed = events_of(step, device, 1, shapes=True), events_of(step, device, repeats, shapes=False)
    if [each.name for each in timed] != [each.name for each in shaped] * repeats:
        raise SystemExit("The step did not compute the same operations each time, so they cannot be told apart.")
    found: Counter[str] = Counter()
    for known, event in zip(shaped * repeats, timed, strict=True):
        own = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
        found[kind_of(known)] += own / 1e6 / repeats
    return found


def events_of(step: Step, device: torch.device, repeats: int, *, shapes: bool) -> list[Any]:
    """What the CPU began, in its order; not the kernels of a GPU, whose time their operations have."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=activities, record_shapes=shapes) as recorded:
        for _ in range(repeats):
            step()
        synchronize(device)
    return sorted((each for each in recorded.events() if each.device_type.name == "CPU"), key=lambda each: each.id)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    keep_freed_memory()
    steps = chosen(given)
    ways = (steps.fast, steps.reference)
    alone, alone_plain = (median(each.seconds) for each in measure(ways, steps.device, given.repeats))
    fast, plain = (profiled(step, steps.device, given.repeats) for step in ways)
    print(f"{heading(given, steps)}\n")
    print("| kind | fast, ms | share | plain, ms | share | plain over fast |\n" + "|---" * 6 + "|")
    for kind in KINDS:
        print(row(kind, fast[kind], plain[kind], fast.total(), plain.total()))
    print(row("all that was profiled", fast.total(), plain.total(), fast.total(), plain.total()))
    print(row("a step that nobody watches", alone, alone_plain, fast.total(), plain.total()))


def row(kind: str, fast: float, plain: float, all_fast: float, all_plain: float) -> str:
    """One line of the table."""
    gain = f"{plain / fast:.2f}" if fast else ""
    return (
        f"| {kind} | {1e3 * fast:.1f} | {fast / all_fast:.0%} | {1e3 * plain:.1f} | {plain / all_plain:.0%} | {gain} |"
    )


if __name__ == "__main__":
    main()
