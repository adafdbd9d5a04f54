"""The recipe of a run as a value: names and options of everything in it, as `recipe.toml` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import attrs

from nasplug.errors import InputError
from nasplug.values.cost import Budget
from nasplug.values.genotype import Genotype
from nasplug.values.options import is_plain, option, option_values
from nasplug.values.training import Training

SLOTS = ("space", "optimizer", "schedule", "teacher", "selector")
"""The slots, each of them a section of a recipe."""
LATER_SLOTS = ("selector",)
"""Those that recipes of versions before 0.2 lack."""
EXECUTOR = "executor"
"""The section of the executor, which recipes of earlier versions lack."""
MACHINE: Mapping[str, tuple[str, ...]] = {
    "run": ("device", "jobs", "retries", "threads", "checkpoint_seconds", "cuda_graphs", "poll", "device_data"),
    "data": ("root", "download", "workers"),
}
"""By section, the options that say where and how a run computes, and not what."""
INDIFFERENT = ("plugins", "environment", EXECUTOR)
"""The sections that say who supplied the parts, and where and by what a run is carried out."""
MOST_THREADS = 1024
"""Threads or processes that a run may be asked for; systems refuse to make many more."""
MAX_DROP_PATH = 0.95
"""Upper limit of a drop_path that grows with a network's density; the densest DARTS networks of 14 cells get 0.94."""


@attrs.frozen
class RunOptions:
    """How a run is carried out."""

    method: str = option("", "the method whose recipe is followed; empty: the preferred one of those installed")
    preset: str = option("laptop", "the preset of the method")
    seed: int = option(0, "seed of everything random", at_least=0)
    device: str = option("auto", "where to compute: auto (CUDA if there is one), cpu, cuda or cuda:N")
    precision: str = option(
        "auto", "arithmetic of the networks; auto is bf16 on CUDA", choices=("auto", "float32", "bf16")
    )
    threads: int = option(2, "CPU threads of a phase that runs alone", at_least=1, at_most=MOST_THREADS)
    jobs: int = option(
        1,
        "retrainings at a time: more than one, or any with another executor than local, are in processes of their own",
        at_least=1,
        at_most=MOST_THREADS,
    )
    retries: int = option(
        2, "how often a retraining goes on in a new process when its process was killed or lost", at_least=0
    )
    checkpoint_seconds: float = option(15.0, "seconds between checkpoints; 0 saves after every step", at_least=0)
    cuda_graphs: bool = option(True, "whether steps are recorded and replayed on CUDA, where all parts allow it")
    poll: int = option(
        0,
        "steps that the device may be ahead of the host, where all parts allow it; 0: 16 on CUDA, 1 on a CPU",
        at_least=0,
    )
    device_data: bool = option(True, "whether images in memory are copied to the device whole, if they have room there")
    sync_norms: bool = option(
        False,
        "whether batch norms use the statistics of the whole batch where torchrun spreads it over several processes",
    )
    teacher_from: str = option(
        "",
        "a run or a weights file whose network is the teacher, of the search or of the retraining (retrain.distil), or "
        "a pretrained network as timm:NAME or torchvision:NAME; empty trains one if the search needs it",
    )
    teacher_weights: str = option(
        "", "file of the weights of a pretrained teacher; empty: those that its library fetches"
    )
    teacher_resolution: int = option(
        0, "pixels to which images are resized for a pretrained teacher; 0: they are not resized", at_least=0
    )
    teacher_epochs: int | None = option(
        None,
        "epochs for which a pretrained teacher is fine-tuned on the training images first; unset: those for which a "
        "teacher is trained; 0: not at all",
        at_least=0,
    )
    teacher_lr: float | None = option(
        None,
        "learning rate at the start of this fine-tuning; unset: a tenth of that with which a teacher is trained",
        above=0,
    )
    table: str = option("", "CSV table in which networks are looked up instead of training them; empty: none")
    measure_every: int = option(
        25, "epochs of a search between measurements of its flatness, the last is always measured; 0: none", at_least=0
    )
    measure_images: int = option(32, "images on which sharpness and curvature are measured", at_least=1)


@attrs.frozen
class DataOptions:
    """Which images a run uses, and how they are split."""

    name: str = option("digits", "data set: a registered name, for some followed by a colon and a path")
    root: str = option("", "folder in which data sets keep their files")
    download: bool = option(False, "whether missing files may be fetched")
    validation: float = option(
        0.1,
        "share held out for selection, raised to 300 images or a third, whichever is less; 0 holds out none; with "
        "folds it is the first fold",
        at_least=0,
    )
    test: float = option(0.2, "share held out for the test, if the data set has no test images", at_least=0, below=1)
    folds: int = option(
        0,
        "folds of the cross-validation by which networks are chosen, 5 is usual where images are few; 0: by the "
        "validation images",
        at_least=0,
    )

    def __attrs_post_init__(self) -> None:
        if self.folds == 1:
            raise InputError(
                "Cross-validation trains on all folds but one, so data.folds must be at least 2, such as 5 (or 0, for "
                "a held-out validation split), but it is 1."
            )
        if self.folds and self.validation == 0:
            raise InputError(
                f"data.validation=0 holds out nothing, and data.folds={self.folds} holds out one fold after the other; "
                f"leave out one of them."
            )


@attrs.frozen
class SearchOptions(Training):
    """How the weights of a supernet are trained (the recipe section "search")."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("label_smoothing", "drop_path", "dropout", "auxiliary", "ema"):
            if value := getattr(self, name):
                raise InputError(
                    f"Option '{name}' is one of stand-alone networks, and a supernet is trained without, so in a "
                    f"search it must be 0, but it is {value:g}; set it for the retraining: retrain.{name}={value:g}."
                )


@attrs.frozen
class RetrainOptions(Training):
    """How found and random networks are trained from scratch, and at which size."""

    drop_path_per_operation: float = option(
        0.0, "what drop_path gains for each operation of a genotype beyond two per place", at_least=0
    )
    distil: float = option(
        0.0,
        "share of the loss that is the divergence from the teacher's network, the rest is that of the labels; 0: off",
        at_least=0,
        at_most=1,
    )
    distil_temperature: float = option(
        4.0, "temperature of the softmax of both networks in this divergence (distil)", above=0
    )
    channels: int | None = option(None, "channels of the first cell; unset: as in the search", at_least=1)
    cells: int | None = option(None, "cells; unset: as in the search", at_least=1)
    widths: tuple[int, ...] = option((), "channels at which a single found genotype is retrained", at_least=1)

    def for_network(self, genotype: Genotype) -> Self:
        """These options with drop_path adapted to one network: the denser it is, the higher (released code of NADD).

        `drop_path` is meant for the density of DARTS, two operations per place; sparser networks get less. The result
        lies between 0 and MAX_DROP_PATH, or `drop_path` if that is larger.
        """
        excess = sum(len(picked) - 2 for _, picked in genotype.picks)
        drop_path = self.drop_path + self.drop_path_per_operation * excess
        return attrs.evolve(self, drop_path=min(max(drop_path, 0.0), max(self.drop_path, MAX_DROP_PATH)))


@attrs.frozen
class SelectOptions:
    """Which of the architectures found are retrained, and what they are compared with."""

    networks: int = option(4, "architectures selected for retraining from those that the search found", at_least=1)
    random: int = option(1, "random architectures of equal size trained beside each of them", at_least=0)
    tolerance: float = option(
        0.05, "how far their parameters, or the share that they take of a budget, may differ, as a share", above=0
    )
    scale: bool = option(
        True,
        "whether networks are made as large as the budget allows, wider and up to two cells deeper; else they keep the "
        "size of the retraining, as networks in a table (run.table) always do",
    )
    references: tuple[str, ...] = option(
        ("plain", "resnet8"),
        "hand-designed networks trained for comparison, as large as the budget, else as the largest network found; "
        "none with a table",
    )
    measures: tuple[str, ...] = option(
        ("latency",), "costs of which networks are measured beside params, MACs and those of the budget"
    )
    candidates: int = option(
        0,
        "candidates of the tournament in which short trainings decide what is retrained, as many random ones beside "
        "them; 16 is a good start; 0: none, networks are selected by their sizes",
        at_least=0,
    )
    by: str = option(
        "error",
        "the validation error that decides which networks are the best: error, of all images, or balanced, the mean of "
        "the errors by class",
        choices=("error", "balanced"),
    )
    rung: float = option(
        0.25, "epochs of the first trainings of a tournament, as a share of the retraining's", above=0, at_most=1
    )
    share_weights: bool = option(
        False,
        "whether candidates of a tournament start from weights of the supernet, as far as they are not wider",
    )

    def __attrs_post_init__(self) -> None:
        if 0 < self.candidates < self.networks:
            raise InputError(
                f"Option 'candidates' is what the {self.networks} networks to retrain are chosen from, so it must be "
                f"at least as many (or 0, for no tournament), but it is {self.candidates}; set "
                f"select.candidates={max(16, self.networks)}, or lower select.networks."
            )
        if self.share_weights and not self.candidates:
            raise InputError(
                "Option 'share_weights' is one of tournaments, and there is none with candidates=0; set "
                "select.candidates=16, or select.share_weights=false."
            )


EARLIER_SELECTION: Mapping[str, Any] = MappingProxyType({"scale": False, "references": (), "measures": ()})
"""What `SelectOptions` of runs that versions before 0.2 have started are, where their recipe says nothing."""


@attrs.frozen
class BudgetOptions:
    """What a network may cost (the recipe section "budget"), and how much this weighs in a search."""

    limits: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """By cost measure, in its unit; where there are several, networks are wanted within each of them."""
    weight: float = option(
        0.0,
        "weight of the expected cost in the loss of alpha, where alpha is learnt by gradient; 0: off; unless set, what "
        "the space suggests where networks are scaled to the budget",
        at_least=0,
    )

    @property
    def points(self) -> tuple[Budget, ...]:
        """The budgets, one after the other: the first limit of every measure, the second ...; empty without limits.

        A measure that has a single limit has it in all of them.
        """
        count = max(map(len, self.limits.values()), default=0)
        return tuple(
            {name: limits[number if len(limits) > 1 else 0] for name, limits in self.limits.items()}
            for number in range(count)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a section of a recipe."""
        limits = {name: values[0] if len(values) == 1 else list(values) for name, values in self.limits.items()}
        return {**limits, "weight": self.weight}


@attrs.frozen
class Part:
    """One part of a recipe: its registered name and its options, complete."""

    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def plain(self) -> dict[str, Any]:
        """The options that a file can hold; all others belong to an object that a Python program passed in."""
        return {name: value for name, value in self.options.items() if is_plain(value)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a section of a recipe."""
        return {"part": self.name, **self.plain}


@attrs.frozen
class Recipe:
    """Everything that determines the result of a run, and how it is carried out."""

    run: RunOptions
    parts: Mapping[str, Part]
    """By slot (each of SLOTS), the part."""
    data: DataOptions
    source: Part
    """The part that loads the data set, and its own options."""
    search: SearchOptions
    retrain: RetrainOptions
    select: SelectOptions
    budget: BudgetOptions
    costs: Mapping[str, Part]
    """By name, the cost measures that the run uses beside params and MACs."""
    references: Mapping[str, Part]
    """By name, with a location where there is one, the reference networks; parts have the name without it."""
    executor: Part
    """By what independent trainings are carried out; it has no influence on their results."""
    plugins: Mapping[str, str]
    """By distribution that registers anything used in this run, its version; but not that of the executor."""

    @property
    def location(self) -> str:
        """What follows the registered name of the data set after a colon, often a path; empty if nothing does."""
        return self.data.name.removeprefix(self.source.name).removeprefix(":")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to `recipe.toml`."""
        return {
            "run": option_values(self.run),
            **{slot: self.parts[slot].to_dict() for slot in SLOTS},
            "data": option_values(self.data) | self.source.plain,
            "search": option_values(self.search),
            "retrain": option_values(self.retrain),
            "select": option_values(self.select),
            "budget": self.budget.to_dict(),
            **{name.rpartition(":")[2]: part.plain for name, part in self.costs.items()},
            **{part.name: part.plain for part in self.references.values() if part.plain},
            EXECUTOR: self.executor.to_dict(),
            "plugins": dict(self.plugins),
        }


def is_decisive(section: str, name: str) -> bool:
    """Whether an option in this section of a recipe decides what a run computes, rather than where and by what."""
    return section not in INDIFFERENT and name not in MACHINE.get(section, ())


def decisive_options(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The options that decide what a run computes, by section, of the sections of a recipe (`Recipe.to_dict`)."""
    return {
        section: {name: value for name, value in options.items() if is_decisive(section, name)}
        for section, options in sections.items()
        if section not in INDIFFERENT
    }
