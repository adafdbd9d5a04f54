"""Where found cells of `nb201` stand in the table of NAS-Bench-201, or in a sample of it.

    python tests/benchmarks/nb201_percentiles.py TABLE.csv RUN...

For each found network: the test accuracy of its cell on CIFAR-10 in the table, or the mean accuracy of the nearest
cells that the table has (those that differ on the fewest edges), and the share of the table's cells that are worse.
Random cells have 50 % on average.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import nasplug
from nasplug.builtin.nb201.genotype import read_genotype
from nasplug.builtin.nb201.table import DATA_SETS, read_table
from nasplug.values import Genotype


def look_up(cell: Genotype, table: dict[Genotype, float]) -> tuple[int, float]:
    """The number of edges on which the nearest cells of the table differ, and their mean accuracy in per cent."""
    distances = {known: sum(a != b for a, b in zip(cell.picks, known.picks, strict=True)) for known in table}
    nearest = min(distances.values())
    return nearest, mean(table[known] for known, distance in distances.items() if distance == nearest)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    cifar10 = read_table(arguments.table.read_bytes(), DATA_SETS[0])
    table = {cell: 100 * (1 - result.test_error) for cell, result in cifar10.items()}
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
