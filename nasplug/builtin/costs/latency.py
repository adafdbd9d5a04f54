"""The time that a network takes for one image on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import attrs
import numpy as np
import torch
from torch import nn

from nasplug.builtin.costs.processor import processor_name
from nasplug.builtin.costs.runtimes import choose_runtime
from nasplug.parts import CostMeasure, Measurement, option
from nasplug.values import Unit

RUNTIMES = ("auto", "onnxruntime", "torch")


@attrs.frozen
class Latency(CostMeasure):
    """Milliseconds for one image in float32 on this machine, in one thread: the median of many runs.

    Batch norms are folded into convolutions. The runtime is ONNX Runtime where it is installed, and torch otherwise;
    times of different runtimes or machines cannot be compared. The sum over layers is an estimate: a runtime fuses
    neighbouring layers and computes what they have in common once.
    """

    unit = Unit("s", prefix="m")
    measured = True
    additive = True

    runtime: str = option("auto", "what carries out the network", choices=RUNTIMES)
    seconds: float = option(0.3, "how long a network is run, in seconds", above=0)
    layer_seconds: float = option(0.03, "how long a single layer is run, in seconds", above=0)
    warmup: int = option(10, "runs before the measurement", at_least=1)
    repeats: int = option(30, "runs that are measured, at least", at_least=1)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The median of the running times, in milliseconds."""
        return self.measure(net, shape).value

    def layer_cost(self, layer: nn.Module, shape: tuple[int, int, int]) -> float:
        """The time that a layer adds to that of an empty network, in milliseconds; at least 0."""
        alone = float(np.median(self._run(layer, shape, self.layer_seconds)))
        return max(0.0, alone - self.base_cost())

    def base_cost(self) -> float:
        """The time of a network that does nothing, in milliseconds: a call of the runtime."""
        return _time_empty_network(self)

    def environment(self) -> Mapping[str, str | int]:
        """The processor, the runtime with its version, and the number of threads.

        Raises InputError if the runtime asked for is not installed.
        """
        return {"device": processor_name(), "runtime": choose_runtime(self.runtime).version, "threads": 1}

    def measure(self, net: nn.Module, shape: tuple[int, int, int]) -> Measurement:
        """The median of the running times; the details are the quartiles in milliseconds, their number, `environment`.

        Raises InputError if the runtime asked for is not installed.
        """
        times = self._run(net, shape, self.seconds)
        lower, median, upper = np.percentile(times, (25, 50, 75))
        quartiles = {"lower": float(lower), "upper": float(upper)}
        return Measurement(float(median), {**quartiles, "repeats": len(times), **self.environment()})

    def _run(self, net: nn.Module, shape: tuple[int, int, int], seconds: float) -> list[float]:
        """The milliseconds of each of many runs, for `seconds` together."""
        image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        run = choose_runtime(self.runtime).prepare(net, image)
        with _one_thread(), torch.inference_mode():
            for _ in range(self.warmup):
                run()
            times: list[float] = []
            total = 0.0
            while len(times) < self.repeats or total < seconds * 1e3:
                start = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - start))
                total += times[-1]
        return times


@lru_cache(maxsize=16)
def _time_empty_network(latency: Latency) -> float:
    return latency.cost(nn.Identity().eval(), (1, 1, 1))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
