"""The time that a network takes for one image on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import numpy as np
import torch
from torch import nn

from nasplug.builtin.costs.deployment import deployed_graph
from nasplug.errors import InputError
from nasplug.parts import CostMeasure, Measurement, option
from nasplug.values import Unit

RUNTIMES = ("auto", "onnxruntime", "torch")


@attrs.frozen
class Latency(CostMeasure):
    """Milliseconds for one image in float32 on this machine, in one thread: the median of many runs.

    Batch norms are folded into convolutions. The runtime is ONNX Runtime where it is installed, and torch otherwise;
    times of different runtimes or machines cannot be compared. The sum over layers is an estimate: a runtime fuses
    neighbouring layers, and every call of it costs some microseconds.
    """

    unit = Unit("s", prefix="m")
    measured = True
    additive = True

    runtime: str = option("auto", "what carries out the network", choices=RUNTIMES)
    seconds: float = option(0.3, "how long a network is run, in seconds", above=0)
    warmup: int = option(10, "runs before the measurement", at_least=1)
    repeats: int = option(30, "runs that are measured, at least", at_least=1)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The median of the running times, in milliseconds."""
        return self.measure(net, shape).value

    def measure(self, net: nn.Module, shape: tuple[int, int, int]) -> Measurement:
        """The median of the running times; the details are their quartiles in milliseconds, their number, the runtime.

        Raises InputError if the runtime asked for is not installed.
        """
        runtime, run = self._prepare(net, shape)
        with _one_thread(), torch.inference_mode():
            for _ in range(self.warmup):
                run()
            times: list[float] = []
            while len(times) < self.repeats or sum(times) < self.seconds:
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
        lower, median, upper = np.percentile(np.array(times) * 1e3, (25, 50, 75))
        quartiles = {"lower": float(lower), "upper": float(upper)}
        return Measurement(float(median), {**quartiles, "repeats": len(times), "runtime": runtime})

    def _prepare(self, net: nn.Module, shape: tuple[int, int, int]) -> tuple[str, Callable[[], object]]:
        """The runtime with its version, and a function that runs `net` once."""
        example = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        if self.runtime != "torch":
            try:
                import onnx  # noqa: F401 - torch writes the file with it
                import onnxruntime
                import onnxscript  # noqa: F401 - and with it
            except ImportError as error:
                if self.runtime == "onnxruntime":
                    raise InputError(
                        f"latency.runtime=onnxruntime needs packages that are missing ({error}): pip install "
                        f"'nasplug[onnx]', or set latency.runtime=torch."
                    ) from error
            else:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                session = onnxruntime.InferenceSession(
                    _onnx_file(net, example), options, providers=["CPUExecutionProvider"]
                )
                feed = {session.get_inputs()[0].name: example.numpy()}
                return f"onnxruntime {onnxruntime.__version__}", lambda: session.run(None, feed)
        module = deployed_graph(net, shape)
        return f"torch {torch.__version__}", lambda: module(example)


def _onnx_file(net: nn.Module, example: torch.Tensor) -> bytes:
    with torch.no_grad():
        program = torch.onnx.export(net, (example,), dynamo=True, verbose=False)
    assert program is not None  # noqa: S101 - only the exporter that is not used here gives none
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
