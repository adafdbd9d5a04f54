"""What `nasplug bench` measured, as plain data and in words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.bench import Compared, ComparedNetwork, LoopCost, Measurement, ratios
from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows

COLUMNS = ("plain", "times as fast", "memory", "plain", "of it")


def collect_figures(comparisons: Sequence[Compared], loop: LoopCost | None, batch: int) -> dict[str, Any]:
    """All figures: those of the whole supernet at the top, beside them those after deletions and of the loop."""
    first, *later = (_compare(comparison, batch) for comparison in comparisons)
    for row, comparison in zip(later, comparisons[1:], strict=True):
        row["over_all_candidates"] = _speedup(comparisons[0], comparison)
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


def collect_network_figures(comparison: ComparedNetwork, batch: int) -> dict[str, Any]:
    """All figures of a stand-alone network."""
    return {"params": comparison.params, **_compare_measurements(comparison, batch)}


def _compare(comparison: Compared, batch: int) -> dict[str, Any]:
    named = {"case": comparison.case, "candidates": comparison.candidates}
    return named | _compare_measurements(comparison, batch)


def _compare_measurements(comparison: Compared | ComparedNetwork, batch: int) -> dict[str, Any]:
    lower, middle, upper = ratios(comparison.fast, comparison.reference)
    return {
        "fast": _describe(comparison.fast, batch),
        "reference": _describe(comparison.reference, batch),
        "ratio": middle,
        "ratio_quartiles": [lower, upper],
        "memory_ratio": comparison.fast.peak_memory_bytes / comparison.reference.peak_memory_bytes,
    }


def _describe(measured: Measurement, batch: int) -> dict[str, Any]:
    return {
        "images_per_second": measured.images_per_second(batch),
        "peak_memory_bytes": measured.peak_memory_bytes,
        "seconds": list(measured.seconds),
    }


def _speedup(first: Compared, later: Compared) -> float:
    """How many times as fast a supernet is as it was with all its candidates."""
    return statistics.median(first.fast.seconds) / statistics.median(later.fast.seconds)


def write_network_figures(setting: Mapping[str, Any], comparison: ComparedNetwork) -> None:
    """Prints what was measured of a stand-alone network as a table."""
    _write_setting(setting)
    write_rows(
        ["network", "parameters", f"{setting['inputs']}/s", *COLUMNS],
        [["as trained", str(comparison.params), *_format(comparison, setting["batch"])]],
    )


def write_figures(setting: Mapping[str, Any], comparisons: Sequence[Compared], loop: LoopCost | None) -> None:
    """Prints what was measured as a table."""
    _write_setting(setting)
    write_rows(
        ["supernet", "candidates", f"{setting['inputs']}/s", *COLUMNS],
        [[each.case, str(each.candidates), *_format(each, setting["batch"])] for each in comparisons],
    )
    for comparison in comparisons[1:]:
        speedup = _speedup(comparisons[0], comparison)
        echo(f"\nWith {comparison.case} it is {speedup:.2f} times as fast as with all candidates.")
    if loop is not None:
        seconds = f"{loop.seconds_per_step:.4f} s, of which the bare step takes {loop.bare_seconds_per_step:.4f} s"
        echo(
            f"\nA step of the search takes {seconds}. Engine, events, checkpoints and progress add "
            f"{loop.overhead:.1%} to the bare step; data take {loop.data_share:.1%} of a step at most."
        )


def _write_setting(setting: Mapping[str, Any]) -> None:
    space = ", ".join(f"{name}={value}" for name, value in setting["space"].items())
    how = f"{setting['precision']}{', CUDA graphs' if setting['cuda_graphs'] else ''}"
    echo(
        f"{setting['method']}, preset {setting['preset']}: {space}\n"
        f"{setting['device']}, {setting['threads']} CPU threads, {how}, torch {setting['torch']}; "
        f"batches of {setting['batch']} {setting['inputs']} of {setting['size']} "
        f"{'samples' if setting['inputs'] == 'signals' else 'pixels'}, {setting['repeats']} repetitions in turns\n"
    )


def _format(comparison: Compared | ComparedNetwork, batch: int) -> list[str]:
    lower, middle, upper = ratios(comparison.fast, comparison.reference)
    fast, plain = comparison.fast.peak_memory_bytes, comparison.reference.peak_memory_bytes
    return [
        f"{comparison.fast.images_per_second(batch):.1f}",
        f"{comparison.reference.images_per_second(batch):.1f}",
        f"{middle:.2f} ({lower:.2f} to {upper:.2f})",
        f"{fast / 2**20:.0f} MiB",
        f"{plain / 2**20:.0f} MiB",
        f"{fast / plain:.2f}",
    ]
