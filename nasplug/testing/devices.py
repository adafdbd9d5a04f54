"""Detects code that moves tensors or modules to a GPU of its own accord."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from nasplug.testing.outcome import Failed


class _OnlyCpu(TorchFunctionMode):
    """Raises Failed for every torch function that is called with a GPU as its target."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "cuda" or any(map(_is_gpu, (*args[1:], *keywords.values()))):
            frame = sys._getframe(1)
            while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "torch":
                frame = frame.f_back
            raise Failed(
                f"'{name}' moves something to a GPU, in {frame.f_code.co_filename}, line {frame.f_lineno}",
                "make tensors on the device of what is handed in (tensor.device), and move nothing",
            )
        return func(*args, **keywords)


@contextmanager
def no_other_device() -> Iterator[None]:
    """Inside the block `torch.cuda.is_available()` is true for all code but torch's own; using a GPU raises Failed."""
    really_available = torch.cuda.is_available

    def is_available() -> bool:
        return really_available() if sys._getframe(1).f_globals.get("__name__", "").startswith("torch.") else True

    torch.cuda.is_available = is_available
    try:
        with _OnlyCpu():
            yield
    finally:
        torch.cuda.is_available = really_available


def _is_gpu(argument: Any) -> bool:
    if isinstance(argument, torch.device):
        return argument.type == "cuda"
    return isinstance(argument, str) and argument.partition(":")[0] == "cuda"
