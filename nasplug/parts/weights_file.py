"""Weights of networks in files of torch and of safetensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from nasplug.errors import InputError, quote

NESTED = ("state_dict", "model")
"""Keys under which checkpoints that hold more than weights keep them."""
WRAPPERS = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""


def read_weights(path: Path) -> Mapping[str, Any]:
    """The state dict in a .safetensors file, or in a file of torch, of which nothing but tensors is read.

    Names have lost the prefixes of DistributedDataParallel and torch.compile. Raises InputError if there is no such
    file, if it cannot be read, or if it holds anything else.
    """
    if not path.is_file():
        raise InputError(
            f"There is no file of weights {quote(path)}; name one that torch.save or safetensors has written."
        )
    try:
        if path.suffix == ".safetensors":
            return _unwrap_names(load_file(path))
        with warnings.catch_warnings(action="ignore"):  # torch warns about unknown formats, which are refused here
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # reading a damaged or foreign pickle can raise anything
        raise InputError(
            f"The weights {quote(path)} cannot be read: the file is damaged, or holds more than tensors (code in it is "
            f"never run); name a file of weights alone, such as torch.save(network.state_dict(), FILE) writes."
        ) from error
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise InputError(f"The file {quote(path)} holds a {type(state).__name__}, but it must hold a state dict.")
    return _unwrap_names(state)


def _unwrap_names(state: Mapping[str, Any]) -> dict[str, Any]:
    return {_unwrap(str(name)): value for name, value in state.items()}


def _unwrap(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name
