"""How well the latencies of layers predict that of the network: random networks of each space, on this machine.

    python tests/benchmarks/latency_estimates.py [--networks 30] [--rounds 3] [--space mbconv nb201 darts]

In each round the layers of all networks are measured, and then every network; estimate and measurement of a network are
the medians of its rounds. Beside the estimate stands what MACs alone tell of the order. The last columns are the
smallest and the largest estimate as a share of the measurement.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from random import Random

import attrs
import numpy as np
from scipy.stats import kendalltau, spearmanr

from nasplug.builtin.costs.latency import Latency
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.parts import CostModel, SearchSpace
from nasplug.values import ImageShape

CASES: dict[str, tuple[SearchSpace, ImageShape]] = {
    "mbconv": (MBConvSpace(channels=16), ImageShape(channels=3, size=32, classes=10)),
    "nb201": (NasBench201(channels=8, cells=2), ImageShape(channels=3, size=32, classes=10)),
    "darts": (Darts(channels=8, cells=5), ImageShape(channels=3, size=32, classes=10)),
}
HEADER = "space | networks | layers | ms | Spearman | Kendall | Spearman of MACs | median relative error | from | to"


@attrs.frozen
class Figures:
    """What was found for the networks of one space, in milliseconds."""

    layers: int
    estimates: np.ndarray
    measured: np.ndarray
    macs: Sequence[int]

    def row(self, space: str) -> str:
        """The row of the table."""
        shares = self.estimates / self.measured
        cells = (
            space,
            len(self.macs),
            self.layers,
            f"{self.measured.min():.2f} to {self.measured.max():.2f}",
            f"{spearmanr(self.estimates, self.measured).statistic:.2f}",
            f"{kendalltau(self.estimates, self.measured).statistic:.2f}",
            f"{spearmanr(self.macs, self.measured).statistic:.2f}",
            f"{100 * np.median(np.abs(shares - 1)):.1f} %",
            f"{shares.min():.2f}",
            f"{shares.max():.2f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


def compare(space: SearchSpace, shape: ImageShape, networks: int, rounds: int) -> Figures:
    """Estimates and measurements of random networks."""
    latency = Latency(seconds=0.1)
    genotypes = [space.random(Random(seed)) for seed in range(networks)]
    nets = [space.network(genotype, shape).eval() for genotype in genotypes]
    estimates, measured, layers = [], [], 0
    for number in range(rounds):
        model = CostModel(space, shape, {"latency": latency})  # knows no layer yet
        estimates.append([model.costs(genotype)["latency"] for genotype in genotypes])
        measured.append([latency.cost(net, (shape.channels, shape.size, shape.size)) for net in nets])
        layers = len({layer for genotype in genotypes for layer in space.layer_list(genotype, shape) or ()})
        print(f"{space.name}: round {number + 1} of {rounds}", file=sys.stderr)
    macs = [space.cost(genotype, shape).macs for genotype in genotypes]
    return Figures(layers, np.median(estimates, 0), np.median(measured, 0), macs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--space", nargs="+", default=list(CASES), choices=CASES)
    arguments = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in Latency().environment().items()))
    print(f"\n| {HEADER} |\n|{'---|' * (HEADER.count('|') + 1)}")
    for name in arguments.space:
        print(compare(*CASES[name], arguments.networks, arguments.rounds).row(name), flush=True)


if __name__ == "__main__":
    main()
