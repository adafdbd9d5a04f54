"""`nasplug export`: a network as one file for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from click.core import ParameterSource

from nasplug.cli.budget import budget_options, read_budget_options
from nasplug.cli.output import echo
from nasplug.errors import InputError
from nasplug.results.export import FORMATS, check_request, export, train_quantised
from nasplug.results.result import choose_network, load
from nasplug.runs.pipeline import report_or_say
from nasplug.runs.signals import Signals
from nasplug.ui import PrintableConsole, show_progress


@click.command("export")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("name", metavar="[ID]", required=False)
@click.option("--format", "form", required=True, type=click.Choice(list(FORMATS)), help="Kind of file; see above.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: in RUN/exports]")
@budget_options("The best network within this cost, such as params=50k or latency=2ms; may be repeated.")
@click.option("--int8", is_flag=True, help="Weights and maps of 8 bits; for onnx and executorch.")
@click.option(
    "--calibration-images",
    "calibration",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Training images that give the ranges of values for --int8.",
)
@click.option(
    "--qat",
    type=click.IntRange(min=0),
    default=0,
    metavar="EPOCHS",
    show_default=True,
    help="Epochs of training with rounded weights and maps before, for --int8.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def write_file(
    run: Path,
    name: str | None,
    form: str,
    out: Path | None,
    budgets: Sequence[str],
    max_params: int | None,
    max_macs: int | None,
    int8: bool,
    calibration: int,
    qat: int,
    force: bool,
) -> None:
    """Write a network of RUN as one file, read it back and compare it with the network on test images.

    ID is the id of a network or its beginning; without it, the best network is taken.

    \b
    onnx         a graph for ONNX Runtime and others: raw uint8 images
                 (N, C, H, W) in, class probabilities (N, classes) out;
                 needs pip install 'nasplug[onnx]'
    executorch   the same as a program for ExecuTorch with XNNPACK, on phones
                 and small devices, in FILE.pte; one image at a time;
                 needs pip install 'nasplug[executorch]'
    pt2          the same as a torch.export program, for torch without nasplug
    python       readable code of plain torch in FILE.py, with the weights
                 in FILE.pt, for programs without nasplug
    safetensors  the weights, and what nasplug needs to build the network;
                 nasplug predict and --teacher-from take it in place of a run

    Every format has preprocessing, class names, genotype, params and errors in its metadata. Graphs take batches of
    any size unless it says otherwise, and their preprocessing is a part of them. The error of the file on
    test images and its time stand in result.json and the report.

    Where a file in 8 bits loses too much, --qat trains the network a little more, as it computes in 8 bits; the weights
    of the run stay as they are.
    """  # noqa: D301 - click asks for the backslash
    given = click.get_current_context().get_parameter_source("calibration")
    if not int8 and given is ParameterSource.COMMANDLINE:
        raise InputError(
            "Images to calibrate on (--calibration-images) are for files in 8 bits; add --int8, or leave "
            "--calibration-images out."
        )
    network = choose_network(load(run), name, read_budget_options(budgets, max_params, max_macs))
    if qat:
        check_request(network, form, out, force, int8=int8, qat=qat)
        signals = click.get_current_context().obj or Signals()
        with signals.watching(), closing(train_quantised(network, form, qat, signals)) as progress:
            show_progress(progress, PrintableConsole())
    written = export(network, form, out, force, int8=int8, calibration=calibration, qat=qat)
    size = written.path.stat().st_size
    echo(f"Network {network.id} ({network.params:,} params): {written.path} ({size:,} bytes)")
    for sentence in written.sentences:
        echo(sentence)
    if written.figures is not None:
        report_or_say(network.run, network.plugins)
