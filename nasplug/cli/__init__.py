"""The command line. Importing it, `nasplug --help` and `nasplug list` never import torch."""

from __future__ import annotations

import click

from nasplug.cli.lazy import LazyCommand, LazyGroup
from nasplug.cli.output import echo


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from nasplug.plugins import plugin_versions  # here, because only this option needs it

    versions = plugin_versions()
    for name in sorted(versions, key=lambda name: (name != "nasplug", name)):
        echo(f"{name} {versions[name]}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    table={
        "run": LazyCommand("nasplug.cli.run:run", "Search, retrain what was found, compare and report.", runs=True),
        "resume": LazyCommand("nasplug.cli.run:resume", "Go on with a run that was stopped.", runs=True),
        "sweep": LazyCommand(
            "nasplug.cli.sweep:sweep", "Run methods over seeds, each as a run, and compare them.", runs=True
        ),
        "retrain": LazyCommand(
            "nasplug.cli.retrain:retrain", "Select and retrain again from the trail of a run.", runs=True
        ),
        "report": LazyCommand("nasplug.cli.retrain:report", "Write the report of a run again."),
        "export": LazyCommand("nasplug.cli.export:write_file", "Write a network as ONNX, pt2 or safetensors."),
        "predict": LazyCommand("nasplug.cli.predict:predict", "What a network sees in image files."),
        "compare": LazyCommand(
            "nasplug.cli.compare:compare", "Methods against random networks, over seeds.", plugins=False
        ),
        "runs": LazyCommand(
            "nasplug.cli.runs:runs", "What has become of runs, in what two differ, and removing them.", plugins=False
        ),
        "rank": LazyCommand(
            "nasplug.cli.rank:rank", "Whether the order that a search left is that of trained errors.", runs=True
        ),
        "data": LazyCommand("nasplug.cli.data:data", "A look at the images before the search: leaks, balance, sizes."),
        "cost": LazyCommand("nasplug.cli.cost:cost", "Parameters and multiply-accumulates of an architecture."),
        "latency": LazyCommand(
            "nasplug.cli.latency:latency", "What layers take on this machine: the table of a space."
        ),
        "bench": LazyCommand(
            "nasplug.cli.bench:bench", "How fast a supernet or a network is on this machine, beside a plain one."
        ),
        "list": LazyCommand("nasplug.cli.listing:list_names", "What is installed: parts, methods and data sets."),
        "show": LazyCommand("nasplug.cli.listing:show", "What a name stands for and its options; or a run's results."),
        "plugins": LazyCommand("nasplug.cli.plugins:plugins", "What is installed, and what is wrong with it."),
        "new": LazyCommand("nasplug.cli.new:new", "Start a plugin of your own: a package that works and is tested."),
        "check": LazyCommand("nasplug.testing.command:check", "Whether a plugin keeps the contract of its parts."),
        "doctor": LazyCommand("nasplug.cli.doctor:doctor", "Whether this machine is ready, and what to do if not."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the versions of nasplug and of its plugins.",
)
def main() -> None:
    """Finds small neural networks for your images by architecture search."""
