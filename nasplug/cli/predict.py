"""`nasplug predict`: what a network answers to image files."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
from torch import Tensor

from nasplug.cli.budget import budget_options, read_budget_options
from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows
from nasplug.data.encoded_images import MAX_BYTES
from nasplug.data.image_folders import PassedOver, image_suffixes, list_images
from nasplug.errors import InputError, quote
from nasplug.formats.regular_file import find_kind
from nasplug.parts import EncodedImage, Task
from nasplug.plugins import load_plugins
from nasplug.plugins.hook_calls import note
from nasplug.results.classifier import Classifier
from nasplug.results.export.formats import FORMATS, open_export, suffix_of
from nasplug.results.prediction import ImageClassifier, classify, classify_signals
from nasplug.results.result import choose_network, load

EXPORTS = {f".{suffix_of(form)}" for form in FORMATS} - {".safetensors"}
"""Endings of exported files from which nasplug does not build the network itself."""


@click.command()
@click.argument("paths", metavar="[RUN] IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--from",
    "exported",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file that nasplug export has written, of any format, in place of RUN.",
)
@click.option("--id", "name", help="Id of the network, or its beginning.  [default: the best network]")
@budget_options("The best network within this cost, such as params=50k or latency=2ms; may be repeated.")
@click.option(
    "--top",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Classes shown for each image.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
@click.pass_context
def predict(
    ctx: click.Context,
    paths: Sequence[Path],
    exported: Path | None,
    name: str | None,
    budgets: Sequence[str],
    max_params: int | None,
    max_macs: int | None,
    top: int,
    as_json: bool,
) -> None:
    """What a network of RUN sees in image files, with probabilities.

    That is the class of an image, all labels that are more likely than not, or the values of a regression.

    RUN is a run folder, or a file from 'nasplug export RUN --format safetensors'. With --from, an exported file answers
    as it does on a device: an ONNX file by ONNX Runtime; code in a file of the format python is run. IMAGE is a file, a
    folder, of which all images are taken, also those in folders within it, or - for an image on standard input. Images
    are turned upright, scaled and cropped to the size of the training images. A network of signals reads safetensors or
    npz files with an array 'signals'. Files that cannot be read, and inputs without a finite answer, are named at the
    end; the exit code is 2 then.
    """
    limits = read_budget_options(budgets, max_params, max_macs)
    classifier: ImageClassifier
    if exported is None:
        source, *images = paths
        if not images:
            raise click.UsageError(f"Name images, or files of signals, after '{source}'.", ctx)
        classifier = _open_classifier(source, name, limits)
    else:
        images = list(paths)
        _refuse_choice(exported, name, limits)
        classifier = open_export(exported)
    task = classifier.task
    predictions: list[dict[str, Any]] = []
    refused: list[InputError] = []
    found: Iterable[tuple[object, Tensor | InputError]] = (
        classify_signals(classifier, images)
        if classifier.dims == 1
        else classify(classifier, _find_files(images, refused))
    )
    for file, answer in found:
        if isinstance(answer, InputError):
            refused.append(answer)
        else:
            predictions.append({"file": str(file), task.outputs: _select(answer, classifier, top)})
    if as_json:
        echo(json.dumps(predictions, indent=2))
    elif predictions:
        rows = [
            [image["file"], shown[task.output], _format_value(shown[task.value], task)]
            for image in predictions
            for shown in image[task.outputs] or [{task.output: "none", task.value: None}]
        ]
        write_rows(["file", task.output, task.value], rows)
    for error in refused:
        echo(f"Error: {error}", err=True)
    if refused:
        ctx.exit(InputError.exit_code)


@attrs.frozen
class _StandardInput:
    """An image whose bytes another program hands over."""

    content: bytes = attrs.field(repr=False)

    def __str__(self) -> str:
        return "-"

    def read_bytes(self) -> bytes:
        return self.content


def _find_files(images: Sequence[Path], refused: list[InputError]) -> list[EncodedImage]:
    """The files that are named, and those in the folders that are named; what is passed over there is said on stderr.

    Why paths cannot be looked up, and which folders hold no images, is added to `refused`.
    """
    files: list[EncodedImage] = []
    for path in images:
        try:
            files += _find_at(path)
        except InputError as error:
            refused.append(error)
    return files


def _find_at(path: Path) -> list[EncodedImage]:
    """The files at one path. Raises InputError if it cannot be looked up, and for a folder without images."""
    if str(path) == "-":
        return [_StandardInput(sys.stdin.buffer.read(MAX_BYTES + 1))]
    if find_kind(path) != "folder":
        return [path]
    passed_over = PassedOver()
    found = list_images(path, passed_over)
    if not found:
        raise InputError(f"The folder {quote(path)} holds no images ({', '.join(sorted(image_suffixes()))}).")
    for text in passed_over.note(path):
        note(f"Note: {text}")
    return [*found]


def _open_classifier(source: Path, name: str | None, limits: Mapping[str, Any]) -> Classifier:
    if find_kind(source) != "file":
        return choose_network(load(source), name, limits).classifier()
    if source.suffix in EXPORTS:
        raise InputError(f"{quote(source)} is an exported file; use --from {shlex.quote(str(source))} in place of RUN.")
    _refuse_choice(source, name, limits)
    return Classifier.read(source, load_plugins())


def _refuse_choice(file: Path, name: str | None, limits: Mapping[str, Any]) -> None:
    if name is not None or limits:
        raise InputError(f"'{file}' is one network; --id and --budget choose among those of a run.")


def _select(answer: Tensor, classifier: ImageClassifier, top: int) -> list[dict[str, Any]]:
    """What is shown of the answer to one image: outputs, each with its value."""
    task, values = classifier.task, answer.tolist()
    return [{task.output: classifier.classes[place], task.value: values[place]} for place in task.select(answer, top)]


def _format_value(value: float | None, task: Task) -> str:
    """Of a probability four decimals, of another value five digits; empty where there is none."""
    if value is None:
        return ""
    return f"{value:.4f}" if task.value == "probability" else f"{value:.5g}"
