"""Notices when code moves something to a device by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from nasplug.testing.outcome import Failed


class _OnlyCpu(TorchFunctionMode):
    """Fails for every torch function that is to give something on a GPU."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "cuda" or any(map(_is_gpu, (*args[1:], *named.values()))):
            frame = sys._getframe(1)
            while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "torch":
                frame = frame.f_back
            raise Failed(
                f"'{name}' moves something to a GPU, in {frame.f_code.co_filename}, line {frame.f_lineno}",
                "make tensors on the device of what is handed in (tensor.device), and move nothing",
            )
        return func(*args, **named)


@contextmanager
def no_other_device() -> Iterator[None]:
    """Inside the block there seems to be a GPU, to all code but torch's own, and moving to it is a failure."""
    present = torch.cuda.is_available

    def pretended() -> bool:
        return present() if sys._getframe(1).f_globals.get("__name__", "").startswith("torch.") else True

    torch.cuda.is_available = pretended
    try:
        with _OnlyCpu():
            yield
    finally:
        torch.cuda.is_available = present


def _is_gpu(argument: Any) -> bool:
    if isinstance(argument, torch.device):
        return argument.type == "cuda"
    return isinstance(argument, str) and argument.partition(":")[0] == "cuda"
