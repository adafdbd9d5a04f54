"""The options of a new run, for every command that starts runs, and the layers of a recipe that they make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from nasplug.cli.budget import budget_options, read_budget_options
from nasplug.compose import OptionLayer, parse_setting, read_config, recipe_sections
from nasplug.plugins import Plugins
from nasplug.values.options import option_fields
from nasplug.values.recipe import EXECUTOR, SLOTS

F = TypeVar("F", bound=Callable[..., Any])

FLAGS = {
    "method": ("run", "method"),
    "preset": ("run", "preset"),
    "seed": ("run", "seed"),
    "device": ("run", "device"),
    "precision": ("run", "precision"),
    "jobs": ("run", "jobs"),
    "threads": ("run", "threads"),
    "teacher_from": ("run", "teacher_from"),
    "table": ("run", "table"),
    "data": ("data", "name"),
    "data_root": ("data", "root"),
    "download": ("data", "download"),
    "epochs": ("search", "epochs"),
    **{slot: (slot, "part") for slot in (*SLOTS, EXECUTOR)},
}
"""Where each flag goes in the recipe."""

OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "method": click.option(
        "--method", help="Recipe to follow: one part per slot and their options.  [default: the preferred one]"
    ),
    "space": click.option("--space", help="Search space, in place of the method's."),
    "optimizer": click.option("--optimizer", help="Architecture optimizer, in place of the method's."),
    "schedule": click.option("--schedule", help="Pruning schedule, in place of the method's."),
    "teacher": click.option("--teacher", help="Distillation teacher, in place of the method's."),
    "selector": click.option("--selector", help="Selector, in place of the method's or the optimizer's."),
    "data": click.option(
        "--data",
        help="Data set: digits, cifar10, cifar100, fashion-mnist, mnist1d, folder:PATH, csv:FILE, arrays:FILE, "
        "signals:FILE, or another one that nasplug list dataset names.",
    ),
    "data_root": click.option("--data-root", type=click.Path(), help="Folder in which data sets keep their files."),
    "download": click.option("--download", is_flag=True, default=None, help="Fetch missing files of a data set."),
    "seed": click.option("--seed", type=int, help="Seed of everything random.  [default: 0]"),
    "epochs": click.option("--epochs", type=int, help="Epochs of the search."),
    "device": click.option("--device", help="auto, cpu, cuda or cuda:N.  [default: auto]"),
    "precision": click.option("--precision", help="auto, float32 or bf16.  [default: auto; float32 in paper presets]"),
    "preset": click.option("--preset", help="Preset of the method: tiny, laptop, or the paper's.  [default: laptop]"),
    "jobs": click.option(
        "--jobs", type=int, help="Retrainings at a time.  [default: the number of CPU cores, or of GPUs on CUDA]"
    ),
    "executor": click.option(
        "--executor",
        help="By what retrainings are carried out: a registered name, or package.module:function.  [default: local]",
    ),
    "threads": click.option(
        "--threads", type=int, help="CPU threads of a phase that runs alone.  [default: the number of cores]"
    ),
    "budgets": budget_options(
        "The most that a network may cost, such as params=50k, memory=64KB or latency=2ms; may be repeated. Networks "
        "are made as large as it allows. Several limits (params=20k,50k) give networks within each."
    ),
    "precision_deployed": click.option(
        "--precision-deployed",
        metavar="FORMAT",
        help="float32 or int8: the number format on the device, for costs that count bytes (size, memory).  "
        "[default: float32]",
    ),
    "references": click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="NAME",
        help="Hand-designed network to compare with; may be repeated.  [default: plain, resnet8]",
    ),
    "teacher_from": click.option(
        "--teacher-from",
        help="Run folder or weights file whose network is the teacher, of the search or, with retrain.distil, of "
        "retrainings; or a pretrained network, timm:NAME or torchvision:NAME (see run.teacher_weights).",
    ),
    "table": click.option(
        "--table", type=click.Path(), help="CSV table of nb201: networks in it are looked up, not retrained."
    ),
    "config": click.option(
        "--config", type=click.Path(path_type=Path), help="Recipe to start from, such as a run's recipe.toml."
    ),
    "settings": click.option(
        "--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Any option of any part."
    ),
}
"""By parameter of the command, in the order of its help."""


def run_options(leave_out: Collection[str] = ()) -> Callable[[F], F]:
    """Adds OPTIONS to a command, which hands what it gets to `read_run_options`; `leave_out` names parameters."""

    def add(command: F) -> F:
        for name, option in reversed(list(OPTIONS.items())):
            if name not in leave_out:
                command = option(command)
        return command

    return add


def read_run_options(
    plugins: Plugins,
    *,
    config: Path | None,
    settings: Sequence[str],
    budgets: Sequence[str],
    max_params: int | None,
    max_macs: int | None,
    references: Sequence[str],
    precision_deployed: str | None,
    **flags: Any,
) -> list[OptionLayer]:
    """The layers of a recipe, later ones stronger: configuration file, flags, then the settings of --set."""
    sections = recipe_sections(plugins)
    layers = [read_config(config, sections)] if config else []
    layers += [read_flags(flags), {"budget": read_budget_options(budgets, max_params, max_macs)}]
    layers += [{"select": {"references": list(references)}}] if references else []
    layers += [_count_in(plugins, precision_deployed)] if precision_deployed is not None else []
    given = [parse_setting(text, sections) for text in settings]
    return [*layers, *({section: {name: value}} for section, name, value in given)]


def read_flags(flags: Mapping[str, Any]) -> OptionLayer:
    """The options of the flags that were given, by section of the recipe."""
    layer: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = FLAGS[name]
            layer.setdefault(section, {})[key] = value
    return layer


def _count_in(plugins: Plugins, precision: str) -> OptionLayer:
    """The option `precision` of every cost measure that has one."""
    measures = [each for each in plugins.registrations if each.slot == "cost"]
    return {
        each.section: {"precision": precision}
        for each in measures
        if "precision" in option_fields(plugins.resolve(each))
    }
