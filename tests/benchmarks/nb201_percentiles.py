"""Where found cells of `nb201` stand in the table of NAS-Bench-201, or in a sample of it.

    python tests/benchmarks/nb201_percentiles.py TABLE.csv RUN...

For each found network: the test accuracy of its cell on CIFAR-10 in the table, or the mean accuracy of the nearest
cells that the table has (those that differ on the fewest edges), and the share of the table's cells that are worse.
Random cells have 50 % on average.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import mean

import nasplug
from nasplug.builtin.nb201.genotype import parse_genotype, read_genotype
from nasplug.values import Genotype


def read_accuracies(path: Path) -> dict[Genotype, float]:
    """By cell, its test accuracy on CIFAR-10 in per cent."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {parse_genotype(row["arch_str"]): float(row["cifar10_test_acc"]) for row in rows}


def look_up(cell: Genotype, table: dict[Genotype, float]) -> tuple[int, float]:
    """The number of edges on which the nearest cells of the table differ, and their mean accuracy."""
    distances = {known: sum(a != b for a, b in zip(cell.picks, known.picks, strict=True)) for known in table}
    nearest = min(distances.values())
    return nearest, mean(table[known] for known, distance in distances.items() if distance == nearest)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    table = read_accuracies(arguments.table)
    print("| run | cell | edges to the nearest | accuracy there | worse cells of the table |\n|---|---|---|---|---|")
    for folder in arguments.runs:
        for network in nasplug.load(folder).networks:
            if network.record["role"] == "found" and network.genotype is not None:
                edges, accuracy = look_up(network.genotype, table)
                worse = mean(other < accuracy for other in table.values())
                operations = " ".join(read_genotype(network.genotype))
                print(f"| {folder.name} | {operations} | {edges} | {accuracy:.2f} % | {worse:.0%} |")


if __name__ == "__main__":
    main()
