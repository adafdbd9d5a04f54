"""Time and memory of several implementations of the same step, measured alternately so that conditions are equal."""

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
    """Time and memory that one implementation of a step takes."""

    seconds: tuple[float, ...]
    """The time of each repetition."""
    peak_memory_bytes: int
    """The peak memory of tensors during the step, beyond that held before it."""

    def images_per_second(self, batch: int) -> float:
        """Throughput of the median repetition, for a step that processes `batch` images."""
        return batch / statistics.median(self.seconds)


def measure(steps: Sequence[Step], device: torch.device, repeats: int) -> list[Measurement]:
    """Runs every step once to measure its memory, twice to warm up, then `repeats` times alternately to time it.

    Memory is measured first: later a step may be recorded as a CUDA graph, which keeps its memory from then on.
    """
    peaks = [measure_peak_memory(step, device) for step in steps]
    for step in steps:
        step()
        step()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        for step, times in zip(steps, seconds, strict=True):
            times.append(time_step(step, device))
    return [Measurement(tuple(times), peak) for times, peak in zip(seconds, peaks, strict=True)]


def measure_peak_memory(step: Step, device: torch.device) -> int:
    """The peak memory of tensors during a step beyond that held before it, in bytes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the messages of the profiler's library on stderr
    with profile(profile_memory=True) as recorded:
        step()
    held = peak = 0
    for event in recorded.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def time_step(step: Step, device: torch.device) -> float:
    """Seconds that a step takes, from an idle device until the device has completed it."""
    synchronize(device)
    started = time.perf_counter()
    step()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Waits until the device has completed all work queued on it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratios(fast: Measurement, reference: Measurement) -> tuple[float, float, float]:
    """The speed of `fast` relative to `reference`: lower quartile, median, upper quartile over pairs of repetitions."""
    speedups = [slow / quick for quick, slow in zip(fast.seconds, reference.seconds, strict=True)]
    if len(speedups) < 2:
        return speedups[0], speedups[0], speedups[0]
    lower, middle, upper = statistics.quantiles(speedups, n=4, method="inclusive")
    return lower, middle, upper
