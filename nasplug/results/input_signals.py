"""Signals that are to be classified, as arrays, tensors or files of them, in the form of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasplug.data.array_files import read_tensors
from nasplug.data.signal_rows import signals_to_rows
from nasplug.errors import InputError

ACCEPTED = "an array or a tensor of numbers, (L,) or (C, L) of one signal, (N, L), (N, C, L) or (N, C, 1, L) of several"


def read_signals(signals: Any, channels: int, size: int, dtype: str) -> Tensor:
    """One signal or many as (N, channels, 1, size) of the type `dtype`, for ACCEPTED.

    Two dimensions are one signal of several channels, or several signals of one. Raises InputError for anything else.
    """
    try:
        values = _to_tensor(signals)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"An object of type {type(signals).__name__} cannot be read as signals; hand over {ACCEPTED}."
        ) from error
    if values.is_meta or values.layout is not torch.strided:
        raise InputError(f"What was handed over is a tensor without dense values; hand over {ACCEPTED}.")
    values = values.detach().cpu()
    if values.ndim == 1 or (values.ndim == 2 and channels > 1):
        values = values[None]
    if values.ndim == 4 and values.shape[2] == 1:
        values = values.squeeze(2)
    return _fit(values, channels, size, dtype, "What was handed over")


def read_signal_file(path: Path, channels: int, size: int, dtype: str) -> Tensor:
    """The array `signals` of a safetensors or npz file in the same form; what else is in it is passed over."""
    tensors, _ = read_tensors(path, "A network for signals")
    if "signals" not in tensors:
        raise InputError(f"{path} holds no array 'signals'; it holds {sorted(tensors) or 'none'}.")
    return _fit(tensors["signals"], channels, size, dtype, f"'signals' in {path}")


def _to_tensor(signals: Any) -> Tensor:
    if isinstance(signals, Tensor):
        return signals
    if isinstance(signals, list | tuple) and signals and all(isinstance(each, Tensor) for each in signals):
        return torch.stack([each.detach() for each in signals])
    return torch.from_numpy(np.array(signals))


def _fit(signals: Tensor, channels: int, size: int, dtype: str, what: str) -> Tensor:
    if dtype == "float32" and (signals.is_floating_point() or signals.dtype == torch.uint8):
        signals = signals.to(torch.float32)
    rows = signals_to_rows(signals, what)
    if rows.shape[1:] != (channels, 1, size) or str(rows.dtype) != f"torch.{dtype}":
        raise InputError(
            f"{what} are {rows.shape[1]} x {rows.shape[3]} {str(rows.dtype).removeprefix('torch.')}, and this network "
            f"takes signals of {channels} x {size} {dtype} (channels and samples); bring them to this form."
        )
    return rows
