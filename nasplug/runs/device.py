"""How host and device work together while something is trained."""

from __future__ import annotations

import attrs
import torch

from nasplug.engine import CudaGraphRecorder, GraphCache
from nasplug.values.recipe import RunOptions

POLL = 16
"""Steps between two looks of the host at a CUDA device, unless asked for otherwise."""


@attrs.frozen
class DeviceOptions:
    """What of a recipe holds on the device of a run."""

    device: torch.device
    poll: int
    cuda_graphs: bool
    device_data: bool

    @classmethod
    def of(cls, options: RunOptions, device: torch.device) -> DeviceOptions:
        """CUDA graphs are for CUDA; a CPU is never ahead of the host unless asked for."""
        cuda = device.type == "cuda"
        return cls(device, options.poll or (POLL if cuda else 1), options.cuda_graphs and cuda, options.device_data)

    def graph_cache(self) -> GraphCache | None:
        """Room for the recordings of a phase, where steps are recorded."""
        return GraphCache(CudaGraphRecorder(self.device)) if self.cuda_graphs else None

    def __str__(self) -> str:
        """What is switched on, and how it is switched off; empty on a CPU."""
        if self.device.type != "cuda":
            return ""
        graphs = "steps as CUDA graphs (run.cuda_graphs)" if self.cuda_graphs else "no CUDA graphs"
        data = "images on the device (run.device_data)" if self.device_data else "images on the host"
        return f"{graphs}, {data}, a look at the device every {self.poll} steps (run.poll)"
