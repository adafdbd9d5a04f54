"""Seconds and bytes of two ways to compute the same, taken in turns so that both see the same machine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence

import attrs
import torch
from torch.autograd.profiler import profile

Step = Callable[[], None]


@attrs.frozen
class Measurement:
    """What one way to compute a batch takes."""

    seconds: tuple[float, ...]
    """Of each repetition."""
    peak_memory_bytes: int
    """The most that its tensors held at one time beyond what they held before."""

    def images_per_second(self, batch: int) -> float:
        """By the median repetition."""
        return batch / statistics.median(self.seconds)


def measure(steps: Sequence[Step], device: torch.device, repeats: int) -> list[Measurement]:
    """Runs every step once for its memory and twice to warm up, then `repeats` times in turns for its seconds.

    Memory comes first, because a step may be recorded later, and a recording has its memory for good.
    """
    peaks = [measure_peak_memory(step, device) for step in steps]
    for step in steps:
        step()
        step()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        for step, taken in zip(steps, seconds, strict=True):
            taken.append(time_step(step, device))
    return [Measurement(tuple(taken), peak) for taken, peak in zip(seconds, peaks, strict=True)]


def measure_peak_memory(step: Step, device: torch.device) -> int:
    """The most bytes that tensors held during a step, beyond those held before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's library talks to stderr about itself
    with profile(profile_memory=True) as recorded:
        step()
    held = peak = 0
    for event in recorded.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def time_step(step: Step, device: torch.device) -> float:
    """Seconds from when the device has nothing left to do until it has done the step."""
    synchronize(device)
    started = time.perf_counter()
    step()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratios(fast: Measurement, reference: Measurement) -> tuple[float, float, float]:
    """How many times as fast the first is: lower quartile, median and upper quartile over neighbouring repetitions."""
    each = [slow / quick for quick, slow in zip(fast.seconds, reference.seconds, strict=True)]
    if len(each) < 2:
        return each[0], each[0], each[0]
    lower, middle, upper = statistics.quantiles(each, n=4, method="inclusive")
    return lower, middle, upper
