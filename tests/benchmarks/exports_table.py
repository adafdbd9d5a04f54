"""All formats of exported files, in float and in 8 bits, for one network of each space.

    python tests/benchmarks/exports_table.py [--space compact darts mbconv nb201] [--data digits] [--epochs 15]
        [--out FOLDER] [--run RUN ...] [--qat N] [--formats onnx executorch ...]

A random network of each space is trained shortly on the data, in FOLDER/SPACE if a folder is named; of every RUN its
best network is taken instead, and the files are noted in its result.json. Files are written to a temporary folder.
Errors and agreement are those on the test images, times those of one thread for one image, in the program that reads
the format. With --qat there is one more file in 8 bits of each format, after so many epochs of training in 8 bits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nasplug
from nasplug.results.export import FORMATS, export
from nasplug.results.export.formats import suffix_of
from nasplug.results.result import TrainedNetwork
from nasplug.store.exports import ExportResult

SPACES: dict[str, dict[str, Any]] = {
    "compact": {"channels": 16},
    "darts": {"channels": 8, "cells": 3},
    "mbconv": {"channels": 16},
    "nb201": {"channels": 8, "cells": 1},
}
"""Options that give some 10,000 to 100,000 parameters."""
HEADER = "network | format | bits | bytes | of 32 bits | operations | test error | of the network | agree | us"


def train(space: str, data: str, epochs: int, folder: Path) -> TrainedNetwork:
    """A random network of a space, trained on a data set."""
    run = nasplug.search(
        method="random",
        space={"part": space, **SPACES[space]},
        optimizer={"samples": 1},
        data=data,
        retrain={"epochs": epochs, "channels": SPACES[space]["channels"]},
        select={"networks": 1, "random": 0, "references": (), "measures": (), "scale": False},
        run={"threads": 1},
        out=folder,
    )
    return run.result().best()


def write_files(
    network: TrainedNetwork, folder: Path, formats: Sequence[str], qat: int
) -> Iterator[tuple[ExportResult, float]]:
    """What is recorded of the network's file in each format and precision, and the seconds that writing it took."""
    for form in formats:
        ways = [(False, 0), (True, 0), (True, qat)] if FORMATS[form].encode_int8 is not None else [(False, 0)]
        for int8, epochs in dict.fromkeys(ways):
            started = time.perf_counter()
            path = folder / f"{network.id}-{int8}-{epochs}.{suffix_of(form)}"
            written = export(network, form, path, int8=int8, qat=epochs)
            if written.figures is None:
                sys.exit(f"The images of {network.run.path} are not at hand; run this where they are.")
            yield written.figures, time.perf_counter() - started


def make_row(name: str, figures: ExportResult, whole: int) -> str:
    """A row of the table; `whole` is the number of bytes of the same format in 32 bits."""
    cells = (
        name,
        figures.format,
        (f"8, {figures.qat} epochs" if figures.qat else 8) if figures.int8 else 32,
        f"{figures.bytes:,}",
        f"{figures.bytes / whole:.2f}",
        "" if figures.nodes is None else figures.nodes,
        f"{100 * figures.error:.2f} %",
        f"{100 * figures.float_error:.2f} %",
        f"{100 * figures.agreeing / figures.images:.2f} %",
        f"{1000 * figures.milliseconds:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def list_networks(arguments: argparse.Namespace, work: Path) -> Iterator[tuple[str, TrainedNetwork]]:
    for run in arguments.run:
        yield run.name, nasplug.load(run).best()
    for space in () if arguments.run else arguments.space:
        yield space, train(space, arguments.data, arguments.epochs, (arguments.out or work) / space)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", nargs="*", default=list(SPACES), choices=SPACES)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", nargs="*", default=[], type=Path)
    parser.add_argument("--qat", type=int, default=0)
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=FORMATS)
    arguments = parser.parse_args()
    print(f"| {HEADER} |\n|{'---|' * (HEADER.count('|') + 1)}")
    with TemporaryDirectory() as work:
        for name, network in list_networks(arguments, Path(work)):
            whole = 0
            for figures, seconds in write_files(network, Path(work), arguments.formats, arguments.qat):
                whole = whole if figures.int8 else figures.bytes
                print(make_row(f"{name}, {network.params:,}", figures, whole), flush=True)
                print(f"{name} {figures.format}: {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
