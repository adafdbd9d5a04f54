"""The supernets of this project beside plain ones, with what is aimed at: one Markdown table from `nasplug bench`.

    python tests/benchmarks/speed_table.py [--device cuda] [--out FILE.json] [-- OPTION ...]

Each row is one call of `nasplug bench --json`, in a process of its own; options behind `--` are handed to all of them.
Ratios are medians over neighbouring repetitions with their quartiles. "Half" is without half of the candidates: speed
and memory over those of the plain supernet without them, and speed over that with all of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Case:
    """One supernet and batch, and what is aimed at on this kind of device."""

    name: str
    options: tuple[str, ...]
    ratio: str
    """Images per second over those of the plain supernet."""
    deleted: str = ""
    """Speed without half of the candidates over that with all of them."""
    memory: str = "0.6"
    """Peak memory over that of the plain supernet, at most."""


def cases(device: str) -> Iterator[Case]:
    """The rows for a CPU or a GPU."""
    nb201 = ("--space", "nb201", "--preset", "paper-nb201")
    if device.startswith("cuda"):
        for batch in ("64", "256"):
            yield Case(f"darts, batch {batch}, bf16", ("--batch", batch, "--precision", "bf16"), "10")
        yield Case("darts, batch 64, float32", ("--batch", "64", "--precision", "float32"), "")
        yield Case("snps, batch 64, bf16", ("--method", "snps", "--batch", "64"), "", "1.7")
        yield Case("nb201, batch 64, bf16", (*nb201, "--batch", "64"), "")
        return
    for batch in ("16", "64"):
        yield Case(f"darts, batch {batch}", ("--batch", batch), "3 (2 at the least)")
    for batch in ("16", "64"):
        yield Case(f"snps, batch {batch}", ("--method", "snps", "--batch", batch), "3 (2 at the least)", "1.7")
    yield Case("nb201, batch 16", (*nb201, "--batch", "16"), "2")


def measured(case: Case, device: str, more: list[str]) -> dict[str, Any]:
    """What `nasplug bench` says; ends the program with its message where it fails."""
    command = [sys.executable, "-m", "nasplug", "bench", "--json", "--device", device, *case.options, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(case: Case, found: dict[str, Any]) -> str:
    """One line of the table."""
    lower, upper = found["ratio_quartiles"]
    fast, plain = found["fast"], found["reference"]
    halves = found["after_deletion"]
    cells = [
        case.name,
        f"{fast['images_per_second']:.1f}",
        f"{plain['images_per_second']:.1f}",
        f"{found['ratio']:.2f} ({lower:.2f} to {upper:.2f})",
        case.ratio,
        f"{fast['peak_memory_bytes'] / 2**20:.0f}",
        f"{plain['peak_memory_bytes'] / 2**20:.0f}",
        f"{found['memory_ratio']:.2f}",
        case.memory,
        ", ".join(f"{each['ratio']:.2f}" for each in halves),
        ", ".join(f"{each['memory_ratio']:.2f}" for each in halves),
        ", ".join(f"{each['over_all_candidates']:.2f}" for each in halves),
        case.deleted,
    ]
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| supernet | images/s | plain | times as fast | aim | MiB | plain | of it | aim | half: over plain | memory "
    "| over whole | aim |"
)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--only", nargs="+", default=(), help="rows whose names contain one of these words")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    parser.add_argument("more", nargs="*", metavar="OPTION", help="options of `nasplug bench` for all rows, behind --")
    given = parser.parse_args()
    figures: list[dict[str, Any]] = []
    for case in cases(given.device):
        if given.only and not any(word in case.name for word in given.only):
            continue
        found = measured(case, given.device, given.more)
        if not figures:
            print(f"{found['device']}, {found['threads']} CPU threads, torch {found['torch']}\n")
            print(f"{HEADER}\n{'|---' * (HEADER.count('|') - 1)}|")
        figures.append({"name": case.name, "aims": attrs.asdict(case), "measured": found})
        print(row(case, found), flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
