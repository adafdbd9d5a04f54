"""`nasplug bench`: how fast the supernet of a search is on this machine."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

import click
import torch

from nasplug.bench import Compared, Measured, compare_supernets, ratios
from nasplug.cli.tables import write_rows
from nasplug.compose import Layer, compose, parse_setting, resolve
from nasplug.phases import find_device
from nasplug.plugins import load_plugins
from nasplug.values import ImageShape, Method


@click.command()
@click.option("--method", default="darts", show_default=True, help="Method whose supernet and weighing are measured.")
@click.option("--space", help="Search space, in place of the method's.")
@click.option("--preset", help="Preset of the method.  [default: that of its paper]")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Images in a batch.")
@click.option("--size", type=click.IntRange(min=4), default=32, show_default=True, help="Pixels of a side.")
@click.option("--classes", type=click.IntRange(min=2), default=10, show_default=True, help="Classes.")
@click.option("--image-channels", type=click.IntRange(min=1), default=3, show_default=True, help="Planes of an image.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the supernet; auto is bf16 on CUDA. The plain one computes in float32.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: torch's]")
@click.option(
    "--deleted",
    type=click.FloatRange(min=0, max=0.99),
    default=0.5,
    show_default=True,
    help="Share of the candidates without which it is measured again; 0: not at all.",
)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=7, show_default=True, help="Repetitions, taken in turns."
)
@click.option("--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Any option of any part.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def bench(
    method: str,
    space: str | None,
    preset: str | None,
    device: str,
    precision: str,
    threads: int | None,
    batch: int,
    size: int,
    classes: int,
    image_channels: int,
    deleted: float,
    repeats: int,
    settings: Sequence[str],
    as_json: bool,
) -> None:
    """Measure the supernet of a search: loss and all gradients of a batch, images per second and memory.

    Beside it, in the same run and in turns, the straightforward supernet that computes the same: a module for every
    operation on every edge, contiguous layout, float32. The ratio is the median over neighbouring repetitions.
    """
    plugins = load_plugins()
    known: Method = plugins.resolve(plugins.find("method", method))
    layers: list[Layer] = [{"run": {"method": method, "preset": preset or known.paper or "laptop"}}]
    layers += [{"space": {"part": space}}] if space else []
    layers += [{section: {name: value}} for section, name, value in map(parse_setting, settings)]
    recipe = resolve(plugins, layers)
    where = find_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    bf16 = precision == "bf16" or (precision == "auto" and where.type == "cuda")
    composition = compose(plugins, recipe)
    found = compare_supernets(
        composition,
        ImageShape(channels=image_channels, size=size, classes=classes),
        batch=batch,
        device=where,
        bf16=bf16,
        deleted=deleted,
        repeats=repeats,
    )
    setting = {
        "method": method,
        "preset": recipe.run.preset,
        "space": recipe.parts["space"].to_dict(),
        "device": _name(where),
        "precision": "bf16" if bf16 else "float32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "batch": batch,
        "size": size,
        "repeats": repeats,
    }
    if as_json:
        rows = [_figures(one, batch) for one in found]
        after = [
            {**row, "over_all_candidates": _gain(found[0], one)} for row, one in zip(rows[1:], found[1:], strict=True)
        ]
        click.echo(json.dumps({**setting, **rows[0], "after_deletion": after}, indent=2))
        return
    _write(setting, found, batch)


def _figures(one: Compared, batch: int) -> dict[str, Any]:
    lower, middle, upper = ratios(one.fast, one.reference)
    return {
        "case": one.case,
        "candidates": one.candidates,
        "fast": _of(one.fast, batch),
        "reference": _of(one.reference, batch),
        "ratio": middle,
        "ratio_quartiles": [lower, upper],
        "memory_ratio": one.fast.peak_memory_bytes / one.reference.peak_memory_bytes,
    }


def _of(measured: Measured, batch: int) -> dict[str, Any]:
    return {
        "images_per_second": measured.images_per_second(batch),
        "peak_memory_bytes": measured.peak_memory_bytes,
        "seconds": list(measured.seconds),
    }


def _gain(first: Compared, later: Compared) -> float:
    """How many times as fast a supernet is as it was with all its candidates."""
    return statistics.median(first.fast.seconds) / statistics.median(later.fast.seconds)


def _write(setting: dict[str, Any], found: Sequence[Compared], batch: int) -> None:
    space = ", ".join(f"{name}={value}" for name, value in setting["space"].items())
    click.echo(
        f"{setting['method']}, preset {setting['preset']}: {space}\n"
        f"{setting['device']}, {setting['threads']} CPU threads, {setting['precision']}, torch {setting['torch']}; "
        f"batches of {batch} images of {setting['size']} pixels, {setting['repeats']} repetitions in turns\n"
    )
    write_rows(
        ["supernet", "candidates", "images/s", "plain", "times as fast", "memory", "plain", "of it"],
        [_row(one, batch) for one in found],
    )
    for one in found[1:]:
        click.echo(f"\nWith {one.case} it is {_gain(found[0], one):.2f} times as fast as with all candidates.")


def _row(one: Compared, batch: int) -> list[str]:
    lower, middle, upper = ratios(one.fast, one.reference)
    fast, plain = one.fast.peak_memory_bytes, one.reference.peak_memory_bytes
    return [
        one.case,
        str(one.candidates),
        f"{one.fast.images_per_second(batch):.1f}",
        f"{one.reference.images_per_second(batch):.1f}",
        f"{middle:.2f} ({lower:.2f} to {upper:.2f})",
        f"{fast / 2**20:.0f} MiB",
        f"{plain / 2**20:.0f} MiB",
        f"{fast / plain:.2f}",
    ]


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
