"""The options by which commands without a data set take the form of the inputs of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nasplug.cli.parameters import LARGEST_SIDE, MOST_CLASSES

F = TypeVar("F", bound=Callable[..., Any])

MOST_CHANNELS = 1024

signals_option = click.option(
    "--signals", is_flag=True, help="Networks read signals, of --size samples, in place of images."
)


def shape_options(command: F) -> F:
    """Adds the options --size, --channels, --classes and --signals, for `nasplug.runs.form_fit.input_shape`."""
    options = (
        click.option(
            "--size",
            default=32,
            show_default=True,
            type=click.IntRange(1, LARGEST_SIDE),
            help="Side of the images, in pixels, or length of the signals, in samples.",
        ),
        click.option(
            "--channels",
            type=click.IntRange(1, MOST_CHANNELS),
            help="Colour planes of the images, or channels of the signals.  [default: 3, of signals 1]",
        ),
        click.option(
            "--classes",
            default=10,
            show_default=True,
            type=click.IntRange(2, MOST_CLASSES),
            help="Classes to tell apart.",
        ),
        signals_option,
    )
    for option in reversed(options):
        command = option(command)
    return command
