"""What it costs to have trainings carried out by an executor, and to spread one training over processes.

    python tests/benchmarks/overhead.py [--only executors|ranks] [--rounds 3]

executors: a run that retrains eight tiny networks, two at a time, by `--executor local` and by `--executor ray`.
ranks: a search and a retraining by one process with two threads, and by two processes of torchrun with one thread each.

What is compared is run in turns, as whole commands, so that a machine that becomes slower is slow for all of them. The
tables are Markdown: medians over rounds, with the least and the largest. Images are noise: nothing is learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import attrs
import torch
from safetensors.torch import save_file

from nasplug.cli.tables import write_markdown
from nasplug.formats.toml_text import read_toml
from nasplug.store.events import read_events

NETWORKS, JOBS = 8, 2
PLAIN = (
    *("--preset", "tiny", "--device", "cpu", "--set", "select.random=0", "--set", "select.references="),
    *("--set", "select.measures=", "--set", "data.test=0", "--set", "run.measure_every=0"),
)
EXECUTORS = ("--method", "random", "--threads", "1", "--jobs", str(JOBS), "--set", f"select.networks={NETWORKS}")
RANKS = (
    *("--method", "snps", "--threads", "2", "--jobs", "1", "--set", "select.networks=1"),
    *("--set", "search.batch_size=64", "--set", "retrain.batch_size=64", "--set", "space.channels=8"),
    *("--set", "retrain.channels=8", "--set", "search.epochs=2", "--set", "retrain.epochs=2"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2")


@attrs.frozen
class Command:
    """One way to carry out a run, for a table."""

    name: str
    words: tuple[str, ...]
    launcher: tuple[str, ...] = ()
    threads: int = 1
    """Of each of its processes, as OMP_NUM_THREADS."""

    def run(self, out: Path, images: Path) -> float:
        """Carries it out and returns its seconds, from the start of Python to its end."""
        words = [*self.launcher, "-m", "nasplug", "run", *self.words, "--data", f"arrays:{images}", "--out", str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        started = time.perf_counter()
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {done.stderr[-2000:]}")
        return seconds


def compare_executors(folder: Path, images: Path, rounds: int) -> None:
    """Prints the table of executors."""
    commands = [Command("local", (*PLAIN, *EXECUTORS, "--executor", "local"))]
    if find_spec("nasplug_ray") is None or find_spec("ray") is None:
        print("Ray is left out: nasplug-ray is not installed (uv pip install -e plugins/nasplug-ray).\n")
    else:
        commands.append(Command("ray", (*PLAIN, *EXECUTORS, "--executor", "ray")))
    figures = in_turns(commands, folder, images, rounds, ("retrain",))
    rows = [
        [name, spread([each["command"] for each in rows]), spread([each["retrain"] for each in rows])]
        for name, rows in figures.items()
    ]
    write_markdown(["executor", "whole command, s", f"sum of {NETWORKS} trainings, s"], rows, 2)


def compare_ranks(folder: Path, images: Path, rounds: int) -> None:
    """Prints the table of one process and two ranks."""
    commands = [
        Command("one process, two threads", (*PLAIN, *RANKS), threads=2),
        Command("two ranks, one thread each", (*PLAIN, *RANKS), TORCHRUN),
    ]
    figures = in_turns(commands, folder, images, rounds, ("search", "retrain"))
    rows = [
        [
            name,
            *(spread([each[f"{phase} images"] / each[phase] for each in rows]) for phase in ("search", "retrain")),
            spread([each["command"] for each in rows]),
        ]
        for name, rows in figures.items()
    ]
    write_markdown(["", "search, images/s", "retraining, images/s", "whole command, s"], rows, 3)


def in_turns(
    commands: Sequence[Command], folder: Path, images: Path, rounds: int, phases: Sequence[str]
) -> dict[str, list[dict[str, float]]]:
    """By command and round: seconds of the command and of each kind of phase, and the images in its steps."""
    figures: dict[str, list[dict[str, float]]] = {command.name: [] for command in commands}
    for number in range(rounds):
        for command in commands if number % 2 == 0 else reversed(commands):
            out = folder / f"{number}-{len(figures[command.name])}-{command.name.replace(' ', '-')}"
            seconds = command.run(out, images)
            figures[command.name].append({"command": seconds, **read_phases(out, phases)})
            print(f"round {number + 1}, {command.name}: {figures[command.name][-1]}", file=sys.stderr)
    return figures


def read_phases(run: Path, phases: Sequence[str]) -> dict[str, float]:
    """Seconds and images of all phases of each kind together."""
    costs: Mapping[str, Mapping[str, float]] = json.loads((run / "result.json").read_text())["cost"]
    recipe, events = read_toml(run / "recipe.toml", "recipe"), list(read_events(run / "events.jsonl"))
    found = {}
    for kind in phases:
        names = [name for name in costs if name.partition("/")[0] == kind]
        steps = sum(event["event"] == "step" and event["phase"] in names for event in events)
        found[kind] = sum(costs[name]["seconds"] for name in names)
        found[f"{kind} images"] = steps * recipe[kind]["batch_size"]
    return found


def spread(values: Sequence[float]) -> str:
    """The median, with the least and the largest value."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Runs what is asked for, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"executors": compare_executors, "ranks": compare_ranks}
    parser.add_argument("--only", choices=list(parts))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=16, help="pixels of an image's side")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    shape = (options.images, options.size, options.size, 3)
    with TemporaryDirectory() as name:
        folder = Path(name)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        save_file({"images": pixels, "labels": torch.arange(options.images) % 10}, folder / "images.safetensors")
        for part, compare in parts.items():
            if options.only in (None, part):
                compare(folder, folder / "images.safetensors", options.rounds)


if __name__ == "__main__":
    main()
