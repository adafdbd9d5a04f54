"""Files that are written as a whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nasplug.errors import InputError, RunFailure, quote
from nasplug.formats.json_text import parse_json
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import find_kind


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the content of `path`; even if it is interrupted, the file has the old content or the new one.

    Raises RunFailure if the content cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
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
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, metadata={"nasplug": json.dumps(facts)}))


def read_tensors(path: Path, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote; InputError, naming `what` the file is, if it is missing or damaged."""
    if find_kind(path) != "file":
        raise InputError(f"There is no {what} at {quote(path)}; restore it from a copy of the run.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = parse_json((file.metadata() or {}).get("nasplug", "null"))
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, FormatError, TypeError, ValueError) as error:
        raise InputError(f"The {what} at {quote(path)} is damaged ({error}); restore it or remove it.") from error
    if not isinstance(facts, dict):
        raise InputError(
            f"The file {quote(path)} is no {what} written by nasplug: its metadata lacks the key 'nasplug'; restore it."
        )
    return tensors, facts
