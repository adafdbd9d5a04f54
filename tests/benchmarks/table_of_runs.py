"""Prints finished runs against their matched random networks, as a Markdown table.

    python tests/benchmarks/table_of_runs.py RUN [RUN ...]

For each run: its best network (chosen by validation error), and the mean difference of test error between each random
network and the found one of its size (positive: the found one is better). Below, the same over all pairs of a method,
with the standard error of the mean.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np


def gains(result: dict[str, Any]) -> list[float]:
    """Test error of each random network minus that of the found network of its size, in percentage points."""
    by_id = {network["id"]: network for network in result["networks"]}
    matched = [network for network in result["networks"] if network["matched_to"]]
    return [100 * (each["test_error"] - by_id[each["matched_to"]]["test_error"]) for each in matched]


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    runs = [json.loads((run / "result.json").read_text()) for run in parser.parse_args().runs]
    lines = ["| method | seed | best: params | best: test accuracy | random - found, points | seconds of training |"]
    lines.append("|---|---|---|---|---|---|")
    pairs: dict[str, list[float]] = {}
    for result in runs:
        best = next(network for network in result["networks"] if network["id"] == result["best"])
        pairs.setdefault(result["method"], []).extend(gains(result))
        seconds = sum(cost["seconds"] for cost in result["cost"].values())
        lines.append(
            f"| {result['method']} | {result['seed']} | {best['params']:,} | {100 * (1 - best['test_error']):.2f} % "
            f"| {np.mean(gains(result)):+.2f} | {seconds:.0f} |"
        )
    for method, values in pairs.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        lines.append(f"| {method} | all | | | {np.mean(values):+.2f} ± {error:.2f} (n = {len(values)} pairs) | |")
    print("\n".join(lines))  # noqa: T201 - printing is what this script is for


if __name__ == "__main__":
    main()
