"""A network of a run as one file for other programs, checked against the network before it appears under its name."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import attrs
import torch
from torch import Tensor

from nasplug.deployment.one_thread import one_thread
from nasplug.errors import InputError, RunFailure, command, reason
from nasplug.formats.atomic_write import write_to_disk
from nasplug.parts import Network
from nasplug.results.classifier import Classifier
from nasplug.results.export.device import Measured, measure
from nasplug.results.export.file_format import WEIGHTS, Metadata
from nasplug.results.export.formats import FORMATS, Opened, open_export, suffix_of
from nasplug.results.export.metadata import metadata_of
from nasplug.results.export.parity import Parity, Sample, check, sample
from nasplug.results.export.run_images import RunImages, find_test_images
from nasplug.results.result import TrainedNetwork
from nasplug.results.torch_state import IsolatedTorchState
from nasplug.runs.quantisation_aware import QuantisedTraining
from nasplug.runs.signals import Signals
from nasplug.store.exports import ExportResult, record_export
from nasplug.store.lock import AlreadyRunning
from nasplug.values import Progress
from nasplug.values.shape import INPUT_WORDS

__all__ = [
    "FORMATS",
    "Exported",
    "Opened",
    "Parity",
    "Sample",
    "check_request",
    "export",
    "open_export",
    "train_quantised",
]

ALL_IMAGES = 10_000
"""Test images on which errors are compared, at most."""


@attrs.frozen
class Exported:
    """A file that was written, and how it compares with the network."""

    path: Path
    parity: Parity | None
    """None for a file in 8 bits, which is another network."""
    figures: ExportResult | None
    """None where the run's images are not at hand any more."""
    input_word: str
    """What an input of the network is called: image or signal."""
    unrecorded: str = ""
    """Why the figures are not in `result.json`; empty: they are."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is to say of the comparison, for people."""
        measured = () if self.figures is None else (self.figures.describe(self.input_word),)
        unrecorded = (f"These figures are not in result.json. {self.unrecorded}",) if self.unrecorded else ()
        return (*(() if self.parity is None else (str(self.parity),)), *measured, *unrecorded)


def export(
    network: TrainedNetwork,
    form: str,
    path: Path | None = None,
    force: bool = False,
    *,
    int8: bool = False,
    calibration: int = 256,
    qat: int = 0,
) -> Exported:
    """Writes `network` in one of FORMATS to `path`, or to `exports/ID.FORM` in its run folder (`exports/ID-int8.FORM`).

    The file is read back, and must answer like the network before it takes its name; its errors and time are measured
    and recorded in `result.json`. With `int8`, weights and maps have 8 bits, for the ranges of values that at most
    `calibration` training images of the run give; such a file has an error of its own. With `qat` it is made of the
    network after so many more epochs of training with rounded weights and maps, which are made here unless
    `train_quantised` has made them before. Raises InputError if `path` is taken (unless by `force`) or has another
    ending than the format's, if weights, packages or images to calibrate on are missing, or if there is no such format
    in 8 bits; RunFailure if the file differs from the network or cannot be written.
    """
    with IsolatedTorchState().active():  # in float32 and on the CPU, whatever the program has set
        return _export(network, form, path, force, int8=int8, calibration=calibration, qat=qat)


def _export(
    network: TrainedNetwork, form: str, path: Path | None, force: bool, *, int8: bool, calibration: int, qat: int
) -> Exported:
    path = check_request(network, form, path, force, int8=int8, qat=qat)
    encode_weights = FORMATS[form].weights
    classifier = network.classifier()
    metadata = metadata_of(network, classifier, FORMATS[form].batch)
    if not FORMATS[form].rebuilds:
        del metadata["nasplug"]
    source = _tuned(network, classifier, form, qat) if qat else classifier
    calibrated = _calibration_images(network, classifier, calibration) if int8 else None
    content = _encode(form, source, metadata, calibrated, path)
    word = INPUT_WORDS[classifier.dims]
    tests = find_test_images(network.run, classifier, ALL_IMAGES)
    images = None if int8 else sample(tests, classifier)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=".nasplug-") as folder, one_thread():
            draft = Path(folder) / path.name
            write_to_disk(draft, content)
            if encode_weights is not None:
                write_to_disk(draft.with_suffix(WEIGHTS), encode_weights(classifier))
            opened = _read_back(form, draft, path, classifier)
            if opened.metadata != metadata:
                raise RunFailure(f"'{path}' was not written: its metadata could not be read back as they were.")
            parity = None if images is None else check(opened.predict, network.predict, images, classifier.task)
            if parity is not None and not parity.holds:
                raise RunFailure(f"'{path}' was not written: its answers differ from those of the network. {parity}")
            measured = _measure(tests, classifier, opened)
            if encode_weights is not None:
                draft.with_suffix(WEIGHTS).replace(path.with_suffix(WEIGHTS))
            draft.replace(path)
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
    if measured is None:
        return Exported(path, parity, None, word)
    count = FORMATS[form].count_nodes
    figures = ExportResult(
        network=network.id,
        format=form,
        int8=int8,
        qat=qat,
        file=path.name,
        bytes=path.stat().st_size + (path.with_suffix(WEIGHTS).stat().st_size if encode_weights is not None else 0),
        nodes=None if count is None else count(content),
        **attrs.asdict(measured),
    )
    try:
        record_export(network.run, figures)
    except (AlreadyRunning, RunFailure) as failure:  # the file is written, and checked
        return Exported(path, parity, figures, word, unrecorded=str(failure))
    return Exported(path, parity, figures, word)


def train_quantised(
    network: TrainedNetwork, form: str, epochs: int, signals: Signals
) -> Generator[Progress, None, None]:
    """Trains a network for so many more epochs with rounded weights and maps, if that was not done before.

    Raises what `QuantisedTraining.train` raises.
    """
    yield from _train(network, form, _quantised_training(network, network.classifier(), epochs), signals)


def _train(
    network: TrainedNetwork, form: str, training: QuantisedTraining, signals: Signals
) -> Generator[Progress, None, None]:
    options = ("--format", form, "--int8", "--qat", training.epochs)
    yield from training.train(network.plugins, signals, command("export", network.run.path, network.id, *options))


def _quantised_training(network: TrainedNetwork, classifier: Classifier, epochs: int) -> QuantisedTraining:
    shape = classifier.tensor_shape
    # A classifier also takes graphs, which this one is not.
    return QuantisedTraining(network.run, network.id, cast("Network", classifier.net), shape, epochs)


def _tuned(network: TrainedNetwork, classifier: Classifier, form: str, epochs: int) -> Classifier:
    """The classifier after a training with rounded weights and maps."""
    training = _quantised_training(network, classifier, epochs)
    for _ in _train(network, form, training, Signals()):
        pass
    return Classifier(training.trained(), classifier.facts)


def check_request(
    network: TrainedNetwork, form: str, path: Path | None, force: bool, *, int8: bool = False, qat: int = 0
) -> Path:
    """The file that `export` writes if it is asked like this; raises its InputErrors that need no network."""
    if path is None:
        network.run.refuse_links()
        path = network.run.path / "exports" / f"{network.id}{'-int8' if int8 else ''}.{suffix_of(form)}"
    _check_path(path, form, force)
    if qat and not int8:
        raise InputError("Training with 8 bits (--qat) is for files in 8 bits; add --int8, or leave --qat out.")
    if int8 and FORMATS[form].encode_int8 is None:
        known = ", ".join(name for name, each in FORMATS.items() if each.encode_int8 is not None)
        raise InputError(f"There are no files in the format {form} in 8 bits; take --format {known}.")
    return path


def _encode(form: str, classifier: Classifier, metadata: Metadata, images: Tensor | None, path: Path) -> bytes:
    """The content of the file; in 8 bits, if there are images to calibrate on."""
    encode_int8 = FORMATS[form].encode_int8
    with _refusals_explained(path, f"the network cannot be brought into the format {form}"):
        if images is not None and encode_int8 is not None:
            return encode_int8(classifier, metadata, images)
        return FORMATS[form].encode(classifier, metadata)


def _read_back(form: str, draft: Path, path: Path, classifier: Classifier) -> Opened:
    """The file, after it has answered two inputs."""
    with _refusals_explained(path, f"the program that runs files of the format {form} cannot run it"):
        opened = FORMATS[form].read(draft)
        with torch.inference_mode():
            opened.predict(classifier.ordinary_input.repeat(2, 1, 1, 1))
        return opened


@contextmanager
def _refusals_explained(path: Path, what: str) -> Iterator[None]:
    """Says `what` a library that raises an error in the block could not do for the file."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise anything for what they cannot do
        raise RunFailure(f"'{path}' was not written: {what} ({reason(error)}); take another format.") from error


def _calibration_images(network: TrainedNetwork, classifier: Classifier, count: int) -> Tensor:
    try:
        return RunImages.of(network.run, classifier, "train", count).read()
    except InputError as error:
        raise InputError(
            f"A file in 8 bits is calibrated on training {INPUT_WORDS[classifier.dims]}s of its run, and they cannot "
            f"be used: {error}"
        ) from error


def _measure(tests: RunImages | InputError, classifier: Classifier, opened: Opened) -> Measured | None:
    """A file on the test images of its run; None if these are not at hand, or there are none."""
    if isinstance(tests, InputError) or tests.split != "test":
        return None
    return measure(opened.predict, classifier, tests)


def _check_path(path: Path, form: str, force: bool) -> None:
    suffix = suffix_of(form)
    if path.suffix != f".{suffix}":
        raise InputError(f"A file in the format {form} must end in '.{suffix}', but '{path}' does not.")
    for file in [path, *([path.with_suffix(WEIGHTS)] if FORMATS[form].weights is not None else [])]:
        if file.is_dir():
            raise InputError(f"'{file}' is a folder; name another file with --out.")
        if file.exists() and not force:
            raise InputError(f"'{file}' exists already; name another file with --out, or replace it with --force.")
