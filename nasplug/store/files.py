"""Files that are written as a whole or not at all, and checked when they are read.

Importing this module imports no torch: reports are made without it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from nasplug.errors import InputError, RunFailure, quote, reason
from nasplug.formats.json_text import parse_json
from nasplug.formats.regular_file import find_kind
from nasplug.values.checksum import CHECKSUM, checksum_arrays, sort_metadata

if TYPE_CHECKING:
    from torch import Tensor


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Replaces the content of `path` by these parts; if interrupted, the file has the old content or the new one.

    Symbolic links are not followed: one in the place of the file, or of its draft, is replaced by a file.

    Raises RunFailure if the content cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)  # what an interrupted write left, or a link
        with draft.open("xb") as stream:
            stream.writelines(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise RunFailure(
            f"'{path}' cannot be written: {error.strerror}; what it held before is still there."
        ) from error


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
