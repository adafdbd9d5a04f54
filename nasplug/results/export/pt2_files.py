"""pt2: programs of torch.export, for torch without nasplug."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import torch
from torch.export import Dim, ExportedProgram

from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.results.classifier import Classifier
from nasplug.results.export.file_format import Format, Metadata, Opened

METADATA = "nasplug.json"
"""The name of the extra file in an archive."""


def export_program(classifier: Classifier) -> ExportedProgram:
    """What the classifier computes, for batches of any size, without the paths of the source files that it came from.

    Two images serve as the example: torch takes dimensions of 0 and 1 for constants.
    """
    example = torch.zeros(2, *classifier.tensor_shape, dtype=getattr(torch, classifier.dtype), device="cpu")
    program = torch.export.export(classifier, (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def check_archive(path: Path) -> None:
    """Raises FormatError if a part of a zip archive, as torch writes them, differs from its checksum."""
    with ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise FormatError(f"its part '{damaged}' does not match its checksum")


def _encode(classifier: Classifier, metadata: Metadata) -> bytes:
    buffer = BytesIO()
    torch.export.save(export_program(classifier), buffer, extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()


def _read(path: Path) -> Opened:
    check_archive(path)
    extra = {METADATA: ""}
    with _without_log():
        module = torch.export.load(path, extra_files=extra).module()
    return Opened.described_by(parse_object(extra[METADATA] or "{}"), module)


@contextmanager
def _without_log() -> Iterator[None]:
    """Silences torch, which logs the traceback of what it also raises."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


PT2 = Format(_encode, _read)
