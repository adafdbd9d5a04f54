"""Prints how flat the supernets of finished runs are and what they lose by becoming discrete, as a Markdown table.

    python tests/benchmarks/flatness.py RUN [RUN ...]

For each run the last measurements of its search; below, their mean over the runs of a method with the standard error of
the mean; and for each method after the first the mean difference to the first over the seeds that both have.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLUMNS = {
    "sharpness": "sharpness",
    "alpha_eigenvalue": "eigenvalue",
    "supernet_error": "supernet error, %",
    "discrete_error": "discrete error, %",
    "gap_error": "gap, points",
    "gap_loss": "gap in loss",
}
SHARES = ("supernet_error", "discrete_error", "gap_error")
"""Fractions, shown as per cent."""


def last_measured(run: Path) -> list[float]:
    """The last value of each column; not a number where there is none."""
    found: dict[str, float] = {}
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["phase"] == "search":
            found |= {name: float(event[name]) for name in COLUMNS if name in event}
    return [found.get(name, float("nan")) * (100 if name in SHARES else 1) for name in COLUMNS]


def told(method: str, seed: str, values: Sequence[float], errors: Sequence[float] | None = None) -> str:
    """A row of the table."""
    cells = [f"{value:.4g}" for value in values]
    if errors is not None:
        cells = [f"{cell} ± {error:.2g}" for cell, error in zip(cells, errors, strict=True)]
    return f"| {method} | {seed} | {' | '.join(cells)} |"


def spread(rows: Sequence[Sequence[float]]) -> tuple[Sequence[float], Sequence[float]]:
    """Means, and their standard errors."""
    table = np.array(rows)
    return table.mean(0).tolist(), (table.std(0, ddof=1) / np.sqrt(len(table))).tolist()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    measured: dict[str, dict[int, list[float]]] = {}
    for run in parser.parse_args().runs:
        result = json.loads((run / "result.json").read_text())
        measured.setdefault(result["method"], {})[result["seed"]] = last_measured(run)
    lines = [f"| method | seed | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for method, runs in measured.items():
        lines += [told(method, str(seed), values) for seed, values in sorted(runs.items())]
    for method, runs in measured.items():
        if len(runs) > 1:
            lines.append(told(method, f"mean of {len(runs)}", *spread(list(runs.values()))))
    first, *others = measured
    for method in others:
        both = sorted(measured[first].keys() & measured[method].keys())
        pairs = [np.subtract(measured[method][seed], measured[first][seed]).tolist() for seed in both]
        if len(pairs) > 1:
            lines.append(told(f"{method} - {first}", f"{len(pairs)} pairs", *spread(pairs)))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
