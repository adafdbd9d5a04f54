"""The whole of a run as a value: names and options, printable as `recipe.toml` and readable from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.values.options import option, option_values
from nasplug.values.training import Training

SLOTS = ("space", "optimizer", "schedule", "teacher")
"""The four slots, each of them a section of a recipe."""


@attrs.frozen
class RunOptions:
    """How a run is carried out."""

    method: str = option("dnad", "the method whose recipe is followed")
    preset: str = option("laptop", "the preset of the method")
    seed: int = option(0, "seed of everything random", at_least=0)
    device: str = option("auto", "where to compute: auto (CUDA if there is one), cpu, cuda or cuda:N")
    precision: str = option(
        "auto", "arithmetic of the networks; auto is bf16 on CUDA", choices=("auto", "float32", "bf16")
    )
    threads: int = option(2, "CPU threads of a phase that runs alone", at_least=1)
    jobs: int = option(1, "retrainings at a time, each in a process of one thread", at_least=1)
    checkpoint_seconds: float = option(15.0, "seconds between checkpoints; 0 saves after every step", at_least=0)
    teacher_from: str = option("", "a run or a weights file whose network is the teacher; empty trains one if needed")


@attrs.frozen
class DataOptions:
    """Which images, and how they are divided."""

    name: str = option("digits", "data set: a registered name, for some followed by a colon and a path")
    root: str = option("", "folder in which data sets keep their files")
    download: bool = option(False, "whether missing files may be fetched")
    validation: float = option(0.1, "share held out for selection (at least 300 images; 0 holds out none)", at_least=0)
    test: float = option(0.2, "share held out for the test, if the data set has no test images", at_least=0, below=1)


@attrs.frozen
class Retraining(Training):
    """How found and random networks are trained from scratch, and at which size."""

    channels: int | None = option(None, "channels of the first cell; unset: as in the search", at_least=1)
    cells: int | None = option(None, "cells; unset: as in the search", at_least=1)
    widths: tuple[int, ...] = option((), "channels at which a single found genotype is retrained", at_least=1)


@attrs.frozen
class Selection:
    """Which architectures of the trail are retrained, and what they are compared with."""

    networks: int = option(4, "architectures taken from the trail", at_least=1)
    random: int = option(1, "random architectures of equal size trained beside each of them", at_least=0)
    tolerance: float = option(0.05, "how far their parameters may differ, as a share", above=0)
    max_params: int | None = option(None, "largest number of parameters of a network", at_least=1)
    max_macs: int | None = option(None, "largest number of multiply-accumulates of a network", at_least=1)


@attrs.frozen
class Part:
    """One part of a recipe: its registered name and its options, complete."""

    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a section of a recipe."""
        return {"part": self.name, **self.options}


@attrs.frozen
class Recipe:
    """Everything that decides a run's outcome."""

    run: RunOptions
    parts: Mapping[str, Part]
    """A part for each of SLOTS."""
    data: DataOptions
    source: Part
    """The data set's part and its own options."""
    search: Training
    retrain: Retraining
    select: Selection
    plugins: Mapping[str, str]
    """Version of every distribution that supplies something to this run."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to `recipe.toml`."""
        return {
            "run": option_values(self.run),
            **{slot: self.parts[slot].to_dict() for slot in SLOTS},
            "data": option_values(self.data) | dict(self.source.options),
            "search": option_values(self.search),
            "retrain": option_values(self.retrain),
            "select": option_values(self.select),
            "plugins": dict(self.plugins),
        }
