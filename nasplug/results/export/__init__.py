"""A network of a run as one file for other programs, checked against the network before it appears under its name."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from nasplug.errors import InputError, RunFailure
from nasplug.results.export.formats import FORMATS
from nasplug.results.export.metadata import metadata_of
from nasplug.results.export.parity import Parity, Sample, check, sample
from nasplug.results.result import TrainedNetwork
from nasplug.store.files import write_atomically

__all__ = ["FORMATS", "Exported", "Parity", "Sample", "export"]


@attrs.frozen
class Exported:
    """A file that was written, and how it compares with the network."""

    path: Path
    parity: Parity


def export(network: TrainedNetwork, form: str, path: Path | None = None, force: bool = False) -> Exported:
    """Writes `network` in one of FORMATS to `path`, or to `exports/ID.FORM` in its run folder.

    The file is read back and must answer like the network before it takes its name. Raises InputError if `path` is
    taken (unless by `force`) or has another ending than the format's, or if weights or packages are missing;
    RunFailure if the file differs from the network or cannot be written.
    """
    if path is None:
        network.run.refuse_links()
        path = network.run.path / "exports" / f"{network.id}.{form}"
    _check_path(path, form, force)
    classifier = network.classifier()
    metadata = metadata_of(network, classifier)
    content = FORMATS[form].encode(classifier, metadata)
    images = sample(network.run, classifier)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=".nasplug-") as folder:
            draft = Path(folder) / path.name
            write_atomically(draft, content)
            opened = FORMATS[form].read(draft)
            if opened.metadata != metadata:
                raise RunFailure(f"'{path}' was not written: its metadata could not be read back as they were.")
            parity = check(opened.predict, network.predict, images)
            if not parity.holds:
                raise RunFailure(f"'{path}' was not written: its answers differ from those of the network. {parity}")
            draft.replace(path)
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
    return Exported(path, parity)


def _check_path(path: Path, form: str, force: bool) -> None:
    if path.suffix != f".{form}":
        raise InputError(f"A file in the format {form} must end in '.{form}', but '{path}' does not.")
    if path.is_dir() or (path.exists() and not force):
        raise InputError(f"'{path}' exists already; name another file with --out, or replace it with --force.")
