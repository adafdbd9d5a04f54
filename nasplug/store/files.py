"""Files that are written as a whole or not at all, and checked when they are read.

Importing this module imports no torch: reports are made without it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from nasplug.errors import InputError, quote, reason
from nasplug.formats.atomic_write import write_atomically
from nasplug.formats.json_text import parse_json
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import find_kind
from nasplug.values.checksum import CHECKSUM, checksum_arrays, sort_metadata

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["copy_whole", "encode_tensors", "read_tensors", "write_atomically", "write_tensors"]

STORED_ONLY = frozenset({"F4"})
"""Types of numbers, as safetensors calls them, that torch reads and cannot compute with."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """A safetensors file with `facts` as JSON in its metadata, replaced as a whole."""
    write_atomically(path, *encode_tensors(tensors, {"nasplug": json.dumps(facts)}))


def encode_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[bytes, memoryview]:
    """Header and data of a safetensors file with a checksum of tensors and metadata in its metadata."""
    from safetensors.torch import save  # here, because it imports torch

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return sort_metadata(save(plain, metadata={**metadata, CHECKSUM: _checksum_tensors(plain, metadata)}))


def read_tensors(path: Path, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote; InputError, naming `what` the file is, if it is missing or damaged.

    Files without a checksum are taken as they are: versions before 0.2 wrote none.
    """
    if find_kind(path) != "file":
        raise InputError(f"There is no {what} at {quote(path)}; restore it from a copy of the run.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            facts = parse_json(metadata.get("nasplug", "null"))
            _check_types({name: file.get_slice(name).get_dtype() for name in file.keys()})  # noqa: SIM118
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(f"The {what} at {quote(path)} is damaged ({reason(error)}); {_remedy(what)}.") from error
    if metadata.get(CHECKSUM) not in (None, _checksum_tensors(tensors, metadata)):
        raise InputError(
            f"The {what} at {quote(path)} is damaged (its content does not match its checksum); {_remedy(what)}."
        )
    if not isinstance(facts, dict):
        raise InputError(
            f"The file {quote(path)} is no {what} written by nasplug: its metadata lacks the key 'nasplug'; restore it."
        )
    return tensors, facts


def _check_types(types: Mapping[str, str]) -> None:
    """Raises FormatError for a tensor of numbers that no network computes with; nasplug writes none."""
    for name, kind in types.items():
        if kind in STORED_ONLY:
            raise FormatError(f"its tensor {quote(name)} is of the type {kind}, with which torch cannot compute")


def _checksum_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    import torch  # here, because importing this module must not import torch

    def as_bytes(tensor: Tensor) -> memoryview:
        return tensor.reshape(-1).view(torch.uint8).numpy().data

    return checksum_arrays(
        ((f"{name} {tensor.dtype} {list(tensor.shape)}", as_bytes(tensor)) for name, tensor in tensors.items()),
        metadata,
    )


def _remedy(what: str) -> str:
    if what == "checkpoint":
        return "restore it from a copy of the run, or remove it, and 'nasplug resume' repeats its phase"
    return "restore it from a copy of the run, or train it again: 'nasplug retrain' does so for networks of a run"


def copy_whole(source: Path, target: Path) -> None:
    """Copies a file or a folder, if there is one."""
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)
