"""The device of a run: which one it is, in which precision it computes, and how far it runs ahead of the host."""

from __future__ import annotations

import attrs
import torch

from nasplug.engine import EagerRunner, Runner
from nasplug.engine.ahead.cuda_graphs import CudaGraphRecorder, GraphCache
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.errors import InputError, quote
from nasplug.values.recipe import RunOptions

POLL = 16
"""Steps after which the host reads figures from a CUDA device, unless asked for otherwise."""


@attrs.frozen
class DeviceOptions:
    """The options of a run that concern its device."""

    device: torch.device
    poll: int
    """Steps that are made before the host reads their figures."""
    cuda_graphs: bool
    device_data: bool
    """Whether images in memory are copied to the device whole."""

    @classmethod
    def of(cls, options: RunOptions, device: torch.device) -> DeviceOptions:
        """CUDA graphs are for CUDA only; on a CPU every step is read, unless asked for otherwise."""
        cuda = device.type == "cuda"
        return cls(device, options.poll or (POLL if cuda else 1), options.cuda_graphs and cuda, options.device_data)

    def runner(self) -> Runner:
        """Who makes the steps of one training."""
        graph_cache = self.graph_cache()
        return EagerRunner() if self.poll == 1 and graph_cache is None else AheadRunner(self.poll, graph_cache)

    def graph_cache(self) -> GraphCache | None:
        """An empty cache of CUDA graphs, where steps are recorded."""
        return GraphCache(CudaGraphRecorder(self.device)) if self.cuda_graphs else None

    def __str__(self) -> str:
        """What is switched on, and how it is switched off; empty on a CPU."""
        if self.device.type != "cuda":
            return ""
        graphs = "steps as CUDA graphs (run.cuda_graphs)" if self.cuda_graphs else "no CUDA graphs"
        data = "images on the device (run.device_data)" if self.device_data else "images on the host"
        return f"{graphs}, {data}, a look at the device every {self.poll} steps (run.poll)"


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Whether this precision, as a recipe has it, is bfloat16 on this device."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda")


def find_device(name: str) -> torch.device:
    """The device that `name` asks for; InputError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise InputError(f"{quote(name)} names no device; use auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise InputError(f"The device {quote(name)} is not supported; use auto, cpu, cuda or cuda:N.")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise InputError(f"The device {quote(name)} is not there: torch sees {count} CUDA devices. Use --device cpu.")
    return device
