"""The state of torch's global random generators."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class RandomState:
    """The states of torch's generators for the CPU and for CUDA devices, as `torch.get_rng_state` returns them.

    The generators of Python and NumPy are not in it: training draws from torch's alone.
    """

    cpu: Tensor
    cuda: Mapping[torch.device, Tensor] = attrs.Factory(dict)
    """By device. `torch.device("cuda")` stands for the current one."""

    @classmethod
    def capture(cls, device: torch.device | None = None) -> RandomState:
        """The present state of the CPU and of `device`; without a `device`, of every CUDA device.

        Without a `device`, CUDA is left alone where this process has not used it yet: reading its state would
        initialize it.
        """
        devices = [] if device is None or device.type != "cuda" else [device]
        if device is None and torch.cuda.is_initialized():
            devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
        return cls(torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices})

    def restore(self) -> None:
        """Sets every generator that was captured to its state of then."""
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)
