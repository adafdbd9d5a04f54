"""A GPU that is not there.

Tensors on it are FakeTensors of torch, which have a shape and a device but no values, while tensors of the host are
real, since draws and decisions are made from them. Backward passes need a driver and cannot be pretended.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


class Waiting(Exception):
    """The host would wait for the device here."""


class PretendedGPU(FakeTensorMode):
    """Runs what concerns only the host, pretends what concerns the GPU, and raises where the host would wait for it.

    Reads of values and shapes that depend on values are refused by FakeTensorMode itself, as are mixed devices.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.watching = True
        """Off while things are made ready that are made ready once."""
        self.sent: list[tuple[int, ...]] = []
        """The shapes of what went to the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        values = tree_leaves((args, kwargs))
        if not any(isinstance(one, FakeTensor) or (isinstance(one, torch.device) and one == GPU) for one in values):
            return func(*args, **kwargs)
        if self.watching:
            self._watch(func, args, kwargs)
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _watch(self, func, args, kwargs) -> None:
        if func is aten._to_copy.default and kwargs.get("device", args[0].device) != args[0].device:
            self._check_transfer(args[0], kwargs["device"], kwargs.get("non_blocking", False))
        if func is aten.copy_.default and args[0].device != args[1].device:
            self._check_transfer(args[1], args[0].device, len(args) > 2 and args[2])
        writes = func in (aten.index_put_.default, aten.index_put.default)
        if writes and args[2].numel() == 1 and args[2].device == CPU:
            return  # one number wherever a mask holds is filled in without asking where
        if writes or func is aten.index.Tensor:
            for index in args[1]:
                if index is not None and (index.device == CPU or index.dtype == torch.bool):
                    raise Waiting(f"{func} by {index.dtype} on {index.device}")

    def _check_transfer(self, source: Tensor, target: torch.device, non_blocking: bool) -> None:
        if source.device != CPU or not non_blocking or not hasattr(source, "page_locked"):
            raise Waiting(f"from {source.device} to {target}, non_blocking={non_blocking}, {source.shape}")
        self.sent.append(tuple(source.shape))


def pin_memory(tensor: Tensor) -> Tensor:
    """Takes the place of `Tensor.pin_memory`, which needs a driver: copies a tensor and marks the copy."""
    if not hasattr(tensor, "page_locked"):
        tensor = tensor.clone()
        tensor.page_locked = True
    return tensor
