"""`nasplug bench`: how fast the supernet of a search, or a stand-alone network, is on this machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click
import torch

from nasplug.bench import compare_network, compare_supernets, loop_cost
from nasplug.cli.bench_figures import collect_figures, collect_network_figures, write_figures, write_network_figures
from nasplug.cli.genotypes import read_genotype
from nasplug.cli.output import echo
from nasplug.cli.parameters import LARGEST_SIDE, MOST_CLASSES, Share
from nasplug.cli.shape_options import MOST_CHANNELS, signals_option
from nasplug.compose import OptionLayer, compose, parse_setting, recipe_sections, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.create import start
from nasplug.runs.device import DeviceOptions, find_device, uses_bf16
from nasplug.runs.form_fit import input_shape
from nasplug.runs.memory import keep_freed_memory
from nasplug.values import Method
from nasplug.values.recipe import MOST_THREADS

FLAGS = {
    ("run", "method"): "--method",
    ("run", "preset"): "--preset",
    ("run", "device"): "--device",
    ("run", "precision"): "--precision",
    ("run", "threads"): "--threads",
    ("space", "part"): "--space",
    ("search", "batch_size"): "--batch",
    ("data", "name"): "--data",
    ("data", "root"): "--data-root",
}
"""The options of a recipe that have a flag here."""


@click.command()
@click.option("--method", default="darts", show_default=True, help="Method whose supernet and weighing are measured.")
@click.option("--space", help="Search space, in place of the method's.")
@click.option("--preset", help="Preset of the method.  [default: that of its paper]")
@click.option("--batch", type=click.IntRange(2, 1_000_000), default=64, show_default=True, help="Inputs in a batch.")
@click.option("--size", type=click.IntRange(4, LARGEST_SIDE), help="Pixels of a side, or samples.  [default: 32]")
@click.option("--classes", type=click.IntRange(2, MOST_CLASSES), help="Classes.  [default: 10]")
@click.option(
    "--image-channels",
    type=click.IntRange(1, MOST_CHANNELS),
    help="Planes of an image, or channels of a signal.  [default: 3, of signals 1]",
)
@signals_option
@click.option("--data", help="Data set: measures the whole loop of a search on it as well.")
@click.option("--data-root", type=click.Path(), help="Folder in which the data set of --data keeps its files.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the supernet; auto is bf16 on CUDA. The plain one computes in float32.",
)
@click.option("--threads", type=click.IntRange(1, MOST_THREADS), help="CPU threads.  [default: torch's]")
@click.option(
    "--deleted",
    type=Share(min=0, max=0.99),
    default=0.5,
    show_default=True,
    help="Share of the candidates without which it is measured again; 0: not at all.",
)
@click.option(
    "--repeats", type=click.IntRange(2, 1000), default=7, show_default=True, help="Repetitions, taken in turns."
)
@click.option("--network", is_flag=True, help="Measure a stand-alone network of the space, as it is retrained.")
@click.option("--genotype", metavar="FILE_OR_TEXT", help="Genotype of --network.  [default: a random one]")
@click.option("--seed", type=click.IntRange(0), help="Seed of the random genotype of --network.  [default: 0]")
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Any option that has no flag here."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def bench(
    method: str,
    space: str | None,
    preset: str | None,
    batch: int,
    size: int | None,
    classes: int | None,
    image_channels: int | None,
    signals: bool,
    data: str | None,
    data_root: str | None,
    device: str,
    precision: str,
    threads: int | None,
    deleted: float,
    repeats: int,
    network: bool,
    genotype: str | None,
    seed: int | None,
    settings: Sequence[str],
    as_json: bool,
) -> None:
    """Measure the supernet of a search: loss and all gradients of a batch, images per second and memory.

    Beside it, in the same run and in turns, the straightforward supernet that computes the same: a module for every
    operation on every edge, contiguous layout, float32. The ratio is the median over neighbouring repetitions.
    On CUDA the step of the first is recorded and replayed, unless --set run.cuda_graphs=false.

    With --network a stand-alone network instead, in training mode and float32, beside torch's own modules that compute
    the same one by one in contiguous layout.

    With --data also the loop of a search on these images: what engine, events, checkpoints and progress add to the
    bare steps, and the share of a step that goes into data.
    """
    plugins = load_plugins()
    known = recipe_sections(plugins)
    given = [parse_setting(setting, known) for setting in settings]
    _check_settings(given, data, data_root)
    _check_network_options(network, data, genotype, seed, precision)
    chosen: Method = plugins.resolve(plugins.find("method", method))
    named = {"method": method, "preset": preset or chosen.paper or "laptop", "device": device, "precision": precision}
    layers: list[OptionLayer] = [{"run": {**named, "threads": threads or torch.get_num_threads()}}]
    layers += [{"search": {"batch_size": batch}}]
    layers += [{"space": {"part": space}}] if space else []
    layers += [{"data": {"name": data, **({"root": data_root} if data_root else {})}}] if data is not None else []
    layers += [{section: {name: value}} for section, name, value in given]
    recipe = resolve(plugins, layers)
    torch.set_num_threads(recipe.run.threads)
    keep_freed_memory()
    composition = compose(plugins, recipe)
    loop = None
    if data is None:
        size, classes = size or 32, classes or 10
        shape = input_shape(composition.space, size=size, channels=image_channels, classes=classes, signals=signals)
    elif size or classes or image_channels or signals:
        raise InputError(
            "--size, --classes, --image-channels and --signals are those of the data set; leave them out with --data."
        )
    else:
        with TemporaryDirectory(prefix="nasplug-bench-") as scratch:
            context = start(Path(scratch) / "run", plugins, recipe, [])
            shape, loop = context.shape, loop_cost(context, repeats)
    where = find_device(recipe.run.device)
    bf16, device_options = uses_bf16(recipe.run.precision, where), DeviceOptions.of(recipe.run, where)
    setting = {
        "method": method,
        "preset": recipe.run.preset,
        "space": recipe.parts["space"].to_dict(),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "precision": "bf16" if bf16 else "float32",
        "cuda_graphs": device_options.cuda_graphs,
        "threads": recipe.run.threads,
        "torch": torch.__version__,
        "batch": recipe.search.batch_size,
        "size": shape.size,
        "inputs": f"{shape.input_word}s",
        "repeats": repeats,
    }
    if network:
        setting |= {"precision": "float32", "cuda_graphs": False}
        text = None if genotype is None else read_genotype(composition.space, genotype)
        architecture = composition.space.random(Random(seed or 0)) if text is None else text
        torch.manual_seed(0)
        net = composition.space.network(architecture, shape)
        compared = compare_network(net, shape, batch=recipe.search.batch_size, device=where, repeats=repeats)
        if as_json:
            found = {"genotype": architecture.to_dict(), **collect_network_figures(compared, recipe.search.batch_size)}
            echo(json.dumps(setting | found, indent=2))
        else:
            write_network_figures(setting, compared)
        return
    comparisons = compare_supernets(
        composition,
        shape,
        batch=recipe.search.batch_size,
        device=where,
        bf16=bf16,
        graph_cache=device_options.graph_cache,
        deleted=deleted,
        repeats=repeats,
    )
    if as_json:
        echo(json.dumps(setting | collect_figures(comparisons, loop, recipe.search.batch_size), indent=2))
    else:
        write_figures(setting, comparisons, loop)


def _check_network_options(
    network: bool, data: str | None, genotype: str | None, seed: int | None, precision: str
) -> None:
    """Raises InputError for options that would have no effect."""
    if not network and (genotype is not None or seed is not None):
        unused = "--seed" if genotype is None else "--genotype"
        raise InputError(f"{unused} is that of a stand-alone network, but the supernet is measured; add --network.")
    if genotype is not None and seed is not None:
        raise InputError("--seed is that of a random genotype, but --genotype gives one; leave one of them out.")
    if network and data is not None:
        raise InputError("--network measures random images, so --data has no use; leave it out and set --size.")
    source_of = click.get_current_context().get_parameter_source
    if network and source_of("deleted") is click.core.ParameterSource.COMMANDLINE:
        raise InputError("A stand-alone network has no candidates to delete; leave out --deleted with --network.")
    if network and precision == "bf16":
        raise InputError("A stand-alone network is measured in float32; leave out --precision bf16 with --network.")


def _check_settings(settings: Sequence[tuple[str, str, Any]], data: str | None, data_root: str | None) -> None:
    """Raises InputError for what would be set twice, and for options of images where random ones are measured."""
    for section, name, value in settings:
        if flag := FLAGS.get((section, name)):
            raise InputError(f"{section}.{name} has a flag of its own here; write {flag} {shlex.quote(str(value))}.")
    unused = ["--data-root"] if data_root else [f"data.{name}" for section, name, _ in settings if section == "data"]
    if unused and data is None:
        raise InputError(f"Without --data, random images are measured and {unused[0]} has no use; add --data NAME.")
