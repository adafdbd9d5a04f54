"""What `nasplug bench` measured, as plain data and in words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nasplug.bench import Compared, LoopCost, Measurement, ratios
from nasplug.cli.tables import write_rows


def figures(found: Sequence[Compared], loop: LoopCost | None, batch: int) -> dict[str, Any]:
    """All figures: those of the whole supernet at the top, beside them those after deletions and of the loop."""
    first, *later = (_figures(one, batch) for one in found)
    for row, one in zip(later, found[1:], strict=True):
        row["over_all_candidates"] = _gain(found[0], one)
    known = {**first, "after_deletion": later}
    if loop is not None:
        known["loop"] = {
            "seconds_per_step": loop.seconds_per_step,
            "bare_seconds_per_step": loop.bare_seconds_per_step,
            "ready_seconds_per_step": loop.ready_seconds_per_step,
            "data_seconds_per_step": loop.data_seconds_per_step,
            "overhead": loop.overhead,
            "data_share": loop.data_share,
        }
    return known


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


def _of(measured: Measurement, batch: int) -> dict[str, Any]:
    return {
        "images_per_second": measured.images_per_second(batch),
        "peak_memory_bytes": measured.peak_memory_bytes,
        "seconds": list(measured.seconds),
    }


def _gain(first: Compared, later: Compared) -> float:
    """How many times as fast a supernet is as it was with all its candidates."""
    return statistics.median(first.fast.seconds) / statistics.median(later.fast.seconds)


def write_figures(setting: Mapping[str, Any], found: Sequence[Compared], loop: LoopCost | None) -> None:
    """Prints what was measured as a table."""
    batch = setting["batch"]
    space = ", ".join(f"{name}={value}" for name, value in setting["space"].items())
    how = f"{setting['precision']}{', CUDA graphs' if setting['cuda_graphs'] else ''}"
    click.echo(
        f"{setting['method']}, preset {setting['preset']}: {space}\n"
        f"{setting['device']}, {setting['threads']} CPU threads, {how}, torch {setting['torch']}; "
        f"batches of {batch} images of {setting['size']} pixels, {setting['repeats']} repetitions in turns\n"
    )
    write_rows(
        ["supernet", "candidates", "images/s", "plain", "times as fast", "memory", "plain", "of it"],
        [_row(one, batch) for one in found],
    )
    for one in found[1:]:
        click.echo(f"\nWith {one.case} it is {_gain(found[0], one):.2f} times as fast as with all candidates.")
    if loop is not None:
        seconds = f"{loop.seconds_per_step:.4f} s, of which the bare step takes {loop.bare_seconds_per_step:.4f} s"
        click.echo(
            f"\nA step of the search takes {seconds}. Engine, events, checkpoints and progress add "
            f"{loop.overhead:.1%} to the bare step; data take {loop.data_share:.1%} of a step at most."
        )


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
