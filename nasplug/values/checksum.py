"""Checksums of what a run writes and reads again: they find damage on disk.

They are no signature: whoever changes a file on purpose can compute them again. SHA-256, of which 64 bits are kept:
processors compute it about as fast as memory is copied to a disk, and damage passes once in 10^19 times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

CHECKSUM = "checksum"
"""The entry of a JSON object, or of the metadata of a safetensors file, that holds the checksum of all the others."""


def checksum(parts: Iterable[bytes | memoryview]) -> str:
    """Sixteen hexadecimal digits for a sequence of byte strings; each counts with its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]


def checksum_object(content: Mapping[str, Any]) -> str:
    """The checksum of the entries of a JSON object, whatever their order and layout, except that of CHECKSUM."""
    entries = {name: value for name, value in content.items() if name != CHECKSUM}
    return checksum([json.dumps(entries, sort_keys=True).encode()])


def is_intact(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object matches its checksum, or has none: versions before 0.2 wrote none."""
    return content.get(CHECKSUM) in (None, checksum_object(content))


def checksum_recipe(sections: Mapping[str, Any]) -> str:
    """The checksum of everything in a `recipe.toml` but the checksum itself, in the section `environment`."""
    environment = {name: value for name, value in sections["environment"].items() if name != CHECKSUM}
    return checksum_object({**sections, "environment": environment})


def recipe_was_changed(sections: Mapping[str, Any]) -> bool:
    """Whether a `recipe.toml` says something else than when its run was started; False if that is not known.

    The options of phases to come may be changed on purpose, so this is worth a note and no error.
    """
    environment = sections.get("environment")
    return isinstance(environment, dict) and environment.get(CHECKSUM) not in (None, checksum_recipe(sections))


def checksum_arrays(arrays: Iterable[tuple[str, bytes | memoryview]], metadata: Mapping[str, str]) -> str:
    """The checksum of a safetensors file.

    It covers of every array a description (name, dtype, shape) and its bytes, and the metadata except CHECKSUM.
    """
    parts: list[bytes | memoryview] = [
        json.dumps({name: text for name, text in metadata.items() if name != CHECKSUM}, sort_keys=True).encode()
    ]
    for description, content in sorted(arrays, key=lambda array: array[0]):
        parts += [description.encode(), content]
    return checksum(parts)


def sort_metadata(content: bytes) -> tuple[bytes, memoryview]:
    """Header and data of a safetensors file, with its metadata in alphabetical order: equal networks give equal files.

    The library writes several entries of metadata in a random order. The data, which may be large, are not copied.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, memoryview(content)[8 + size :]
