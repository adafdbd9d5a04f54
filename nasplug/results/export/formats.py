"""The formats of exported files by their names, and the files that they have written opened by their endings."""

from __future__ import annotations

from pathlib import Path

import torch

from nasplug.errors import InputError, quote, reason
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import check_file
from nasplug.results.export.executorch_files import EXECUTORCH
from nasplug.results.export.file_format import Format, Metadata, Opened
from nasplug.results.export.onnx_files import ONNX
from nasplug.results.export.pt2_files import PT2
from nasplug.results.export.python_files import PYTHON
from nasplug.results.export.safetensors_files import SAFETENSORS

__all__ = ["FORMATS", "Format", "Metadata", "Opened", "open_export", "suffix_of"]

FORMATS: dict[str, Format] = {
    "onnx": ONNX,
    "executorch": EXECUTORCH,
    "pt2": PT2,
    "python": PYTHON,
    "safetensors": SAFETENSORS,
}
"""Every format by its name."""


def suffix_of(form: str) -> str:
    """The ending of files in this format, without the dot."""
    return FORMATS[form].suffix or form


def open_export(path: Path) -> Opened:
    """A file that `nasplug export` has written, in the format of its ending, after it has classified a black image.

    Code in a file of the format python is run, if it has the form that nasplug writes. Raises InputError if there is no
    such file or no format with its ending, if packages that read it are missing, and if the file is damaged, or is
    another program's.
    """
    endings = {f".{suffix_of(form)}": form for form in FORMATS}
    form = endings.get(path.suffix)
    if form is None:
        raise InputError(
            f"{quote(path)} is no file that 'nasplug export' writes: these end in {', '.join(sorted(endings))}."
        )
    check_file(path, "exported file")
    try:
        opened = FORMATS[form].read(path)
        _try_out(opened)
    except InputError as error:
        if not isinstance(error, FormatError):
            raise
        raise _unusable(path, form, error) from error
    except Exception as error:  # libraries raise anything for a file that they cannot read
        raise _unusable(path, form, error) from error
    return opened


def _try_out(opened: Opened) -> None:
    with torch.inference_mode():
        answer = opened.predict(opened.ordinary_input)
    if answer.shape != (1, len(opened.classes)):
        raise FormatError(
            f"it answers in the form {tuple(answer.shape)} for {len(opened.classes)} {opened.task.outputs}"
        )
    if not answer.isfinite().all():
        raise FormatError("it answers with NaN or infinity")


def _unusable(path: Path, form: str, error: Exception) -> InputError:
    return InputError(
        f"{quote(path)} cannot be used as a file of the format {form} ({reason(error)}): it is damaged, or nasplug has "
        f"not written it; write it again with 'nasplug export RUN --format {form}'."
    )
