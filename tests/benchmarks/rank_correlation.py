"""How well summed block ratings rank architectures: Kendall's tau between ratings and stand-alone accuracy.

    python tests/benchmarks/rank_correlation.py RUN [RUN ...] --networks 24

Every RUN is a finished run of `dna` (or of any method that rated its blocks) on the same data with the same space.
Random architectures are drawn once, of paths that all runs rated, trained from scratch by the first run's recipe of
retraining, and measured on its validation and test images together. The runs themselves are left as they are.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import kendalltau

from nasplug.plugins import load_plugins
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.workers import retrain_networks
from nasplug.store.events import ignore_event
from nasplug.store.networks import PlannedNetwork, load_network
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype

Ratings = list[dict[str, float]]
"""For each block, the rating of each of its paths by the path's JSON."""


def ratings_of(run: Path) -> Ratings:
    found = json.loads((run / "ratings.json").read_text())
    return [
        {Genotype(found["space"], each["path"]).to_json(): each["rating"] for each in block["ratings"]}
        for block in found["blocks"]
    ]


def accuracies(context: RunContext, genotypes: list[Genotype]) -> list[float]:
    recipe = context.recipe.retrain
    space = context.composition.space.scaled(channels=recipe.channels, cells=recipe.cells)
    plans = [PlannedNetwork("found", each, space.size(), space.cost(each, context.shape)) for each in genotypes]
    for progress in retrain_networks(context, plans, lambda: False, ignore_event):
        if progress.done == progress.total:
            print(f"{progress.phase} trained", flush=True)
    held_out = {split: len(getattr(context.splits, split)) for split in ("validation", "test")}
    found = []
    for plan in plans:
        net, _ = load_network(context.folder.weights(plan.id), context.plugins)
        wrong = sum(sum(errors.wrong) for split in held_out if (errors := context.errors(net, split)))
        found.append(1 - wrong / sum(held_out.values()))
    return found


def interval(ratings: list[float], accuracy: list[float], draws: int = 10_000) -> tuple[float, float]:
    """The 95 % percentile bootstrap over architectures."""
    generator, pairs = np.random.default_rng(0), np.array([ratings, accuracy])
    samples = [pairs[:, generator.integers(0, pairs.shape[1], pairs.shape[1])] for _ in range(draws)]
    taus = np.array([kendalltau(-sample[0], sample[1]).statistic for sample in samples])
    low, high = np.nanpercentile(taus, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rated = [ratings_of(run) for run in arguments.runs]
    common = [sorted(set.intersection(*(set(each[block]) for each in rated))) for block in range(len(rated[0]))]
    generator = Random(arguments.seed)
    chosen = [[generator.choice(paths) for paths in common] for _ in range(arguments.networks)]
    with TemporaryDirectory(prefix="nasplug-tau-") as scratch:
        copy = Path(scratch) / "run"
        shutil.copytree(arguments.runs[0], copy)
        genotypes = [Genotype.join(map(Genotype.from_json, paths)) for paths in chosen]
        accuracy = accuracies(reopen_context(RunFolder.existing(copy), load_plugins()), genotypes)
    print(f"\n{len(chosen)} architectures, accuracy {min(accuracy):.4f} to {max(accuracy):.4f}\n")
    print("| run | Kendall tau | 95 % interval |\n|---|---|---|")
    for run, each in zip(arguments.runs, rated, strict=True):
        summed = [sum(each[block][path] for block, path in enumerate(paths)) for paths in chosen]
        tau = kendalltau([-rating for rating in summed], accuracy).statistic
        low, high = interval(summed, accuracy)
        print(f"| {run.name} | {tau:+.2f} | {low:+.2f} to {high:+.2f} |")


if __name__ == "__main__":
    main()
