"""The time that a network takes for one image on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from nasplug.builtin.costs.processor import processor_name
from nasplug.builtin.costs.runtimes import Runtime, choose_runtime
from nasplug.deployment.one_thread import one_thread
from nasplug.parts import CostMeasure, Measurement, option
from nasplug.values import Unit

RUNTIMES = ("auto", "onnxruntime", "torch")
TURN_SECONDS = 0.002
"""How long one of several networks is run until it is the next one's turn."""


@attrs.frozen
class Latency(CostMeasure):
    """Milliseconds for one image in float32 on this machine, in one thread: the median of many runs.

    Batch norms are folded into convolutions. The runtime is ONNX Runtime where it is installed, and torch otherwise;
    times of different runtimes or machines cannot be compared. The sum over layers is an estimate: a runtime fuses
    neighbouring layers, computes what they have in common once, and leaves out what no other layer reads.
    """

    unit = Unit("s", prefix="m")
    measured = True
    additive = True

    runtime: str = option("auto", "what carries out the network", choices=RUNTIMES)
    seconds: float = option(0.3, "how long a network is run, in seconds", above=0)
    layer_seconds: float = option(0.05, "how long a single layer is run, in seconds", above=0)
    warmup: int = option(10, "runs before the measurement", at_least=1)
    repeats: int = option(30, "runs that are measured, at least", at_least=1)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The median of the running times, in milliseconds."""
        return self.measure(net, shape).value

    def layer_cost(self, layer: nn.Module, shape: tuple[int, int, int]) -> float:
        """The milliseconds that a layer adds behind a 1x1 convolution; at least 0.

        Runtimes keep maps in a layout of their own from one convolution to the next. A layer alone would have to bring
        its input into this layout and its output out of it, which takes up to half of its time.
        """
        convolution = nn.Conv2d(shape[0], shape[0], 1)
        alone = _prepare_convolution(choose_runtime(self.runtime), tuple(shape))
        together = self._prepare(nn.Sequential(convolution, layer).eval(), shape)
        without, with_layer = self._run((alone, together), self.layer_seconds)
        return max(0.0, float(np.median(with_layer) - np.median(without)))

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
        (times,) = self._run((self._prepare(net, shape),), self.seconds)
        lower, median, upper = np.percentile(times, (25, 50, 75))
        quartiles = {"lower": float(lower), "upper": float(upper)}
        return Measurement(float(median), {**quartiles, "repeats": len(times), **self.environment()})

    def _prepare(self, net: nn.Module, shape: tuple[int, int, int]) -> Callable[[], object]:
        return choose_runtime(self.runtime).prepare(net, _make_image(shape))

    def _run(self, runs: Sequence[Callable[[], object]], seconds: float) -> list[list[float]]:
        """The milliseconds of many calls of each; all of them together take `seconds` or, by `repeats`, longer.

        Their turns are short, so that whatever else the machine does affects all alike; and as long as many calls, most
        of which find in the caches what the call before them has left there.
        """
        times: list[list[float]] = [[] for _ in runs]
        with one_thread(), torch.inference_mode():
            for run in runs:
                for _ in range(self.warmup):
                    run()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or min(map(len, times)) < self.repeats:
                for run, own in zip(runs, times, strict=True):
                    own += _run_for_a_turn(run)
        return times


def _run_for_a_turn(run: Callable[[], object]) -> list[float]:
    """The milliseconds of calls one after the other, at least one."""
    times: list[float] = []
    end = time.perf_counter() + TURN_SECONDS
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _make_image(shape: tuple[int, int, int]) -> Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


@lru_cache(maxsize=256)
def _prepare_convolution(runtime: Runtime, shape: tuple[int, int, int]) -> Callable[[], object]:
    """Runs the 1x1 convolution behind which the layers that read maps of this shape are measured."""
    return runtime.prepare(nn.Conv2d(shape[0], shape[0], 1).eval(), _make_image(shape))


@lru_cache(maxsize=16)
def _time_empty_network(latency: Latency) -> float:
    return latency.cost(nn.Identity().eval(), (1, 1, 1))
