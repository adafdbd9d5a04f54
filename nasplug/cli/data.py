"""`nasplug data`: a look at the images before the search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nasplug.cli.data_facts import Given, collect_facts
from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows
from nasplug.compose import compose, parse_setting
from nasplug.data import make_splits
from nasplug.data.class_names import check_class_names
from nasplug.data.overview import look
from nasplug.errors import InputError
from nasplug.parts.recorded_task import TASKS
from nasplug.plugins import load_plugins
from nasplug.runs.data import load_data
from nasplug.runs.defaults import resolve_recipe
from nasplug.values.shape import INPUT_WORDS

NAMED = 3
"""Pairs of duplicates that are printed for each two splits."""


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option("--data-root", type=click.Path(), help="Folder in which data sets keep their files.")
@click.option("--download", is_flag=True, help="Fetch missing files of a data set.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed that the images are divided by."
)
@click.option("--set", "settings", multiple=True, metavar="data.OPTION=VALUE", help="Any option of the data set.")
@click.option("--strict", is_flag=True, help="End with 1 if there is a leak or a contradiction.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all duplicates.")
@click.pass_context
def data(
    ctx: click.Context,
    spec: str,
    data_root: str | None,
    download: bool,
    seed: int,
    settings: Sequence[str],
    strict: bool,
    as_json: bool,
) -> None:
    """Look at all images of a data set, and say what a run should know of them; nothing is trained.

    SPEC is what --data of a run takes: digits, cifar10, folder:PATH, csv:PATH, arrays:PATH, or a data set of a plugin.

    The images are divided as a run with this seed divides them. A leak is a test image that equals a training or
    validation image, or nearly does; a contradiction is an image with two classes.
    """
    plugins = load_plugins()
    options = {name: value for _, name, value in (parse_setting(text, ["data"]) for text in settings)}
    place = {"name": spec, **({"root": data_root} if data_root else {}), **({"download": True} if download else {})}
    _refuse_settings(options, place)
    composition = compose(plugins, resolve_recipe(plugins, [{"run": {"seed": seed}, "data": {**options, **place}}]))
    images = load_data(composition)
    check_class_names(images)
    wanted = composition.recipe.data
    splits = make_splits(images, seed, wanted.validation, wanted.test, wanted.folds)
    overview = look(images, splits, with_thumbnails=True, folds=wanted.folds)
    used = composition.recipe.plugins
    words = [
        *(["--data-root", data_root] if data_root else []),
        *(["--seed", str(seed)] if seed else []),
        *(f"--set={text}" for text in settings),
        *(f"--plugin={plugin.path}" for plugin in plugins.all if plugin.path and plugin.distribution in used),
    ]
    facts = collect_facts(composition, overview, Given(words, frozenset(options)))
    echo(json.dumps(facts, indent=2)) if as_json else _write(facts)
    if strict and (facts["leaks"] or facts["contradictions"]):
        ctx.exit(1)


def _refuse_settings(options: Mapping[str, Any], place: Mapping[str, Any]) -> None:
    """Raises InputError if --set names the data set or repeats a flag: the command that is printed would have both."""
    if "name" in options:
        raise InputError(
            f"The data set is {place['name']}, so --set data.name has no use here; name one data set only."
        )
    flags = {"root": "--data-root", "download": "--download"}
    for name in options:
        if name in place:
            raise InputError(f"Both {flags[name]} and --set data.{name} are given; leave one of them out.")


def _write(facts: Mapping[str, Any]) -> None:
    size, channels = facts["size"], facts["channels"]
    sizes = f"{size}x{size} pixels" if facts["dims"] == 2 else f"{size} samples"
    echo(
        f"{facts['data']}: {facts['images']:,} {_name_inputs(facts)} {_count_outputs(facts)}, "
        f"{sizes} with {channels} channel{'' if channels == 1 else 's'}\n"
    )
    _write_classes(facts)
    echo()
    for line in (*_describe_files(facts), *_describe_pixels(facts)):
        echo(line)
    echo()
    _write_duplicates(facts)
    for text in (*facts["leaks"], *facts["contradictions"]):
        echo(f"\nWarning: {text}")
    for text in facts["notes"]:
        echo(f"\nNote: {text}")
    echo()
    rows = [[each["option"], each["value"], each["because"]] for each in facts["suggestions"]]
    write_rows(["suggested", "value", "because"], rows)
    echo(f"\n{facts['command']}")


def _name_inputs(facts: Mapping[str, Any]) -> str:
    return f"{INPUT_WORDS[facts['dims']]}s"


def _count_outputs(facts: Mapping[str, Any]) -> str:
    task = TASKS[facts["task"]]
    count = len(facts["classes"] or facts["values"])
    return f"{'of' if task.has_classes else 'with'} {count} {task.output if count == 1 else task.outputs}"


def _write_classes(facts: Mapping[str, Any]) -> None:
    splits, head = facts["splits"], TASKS[facts["task"]].output
    if not facts["classes"]:
        names = ("mean", "deviation", "least", "most")
        write_rows([head, *names], [[row[head], *(f"{row[name]:.5g}" for name in names)] for row in facts["values"]])
        return
    rows = [
        [row[head], *(f"{row[name]:,}" for name in splits), f"{row['images']:,}", f"{row['share']:.1%}"]
        for row in facts["classes"]
    ]
    total = ["all", *(f"{count:,}" for count in splits.values()), f"{facts['images']:,}", "100.0%"]
    write_rows([head, *splits, _name_inputs(facts), "share"], [*rows, total])
    balance = facts["balance"]
    if balance is None:
        return
    echo(
        f"\nThe largest class, '{balance['largest']}', has {balance['ratio']:.1f} times as many "
        f"{_name_inputs(facts)} as the smallest, '{balance['smallest']}'."
    )


def _describe_files(facts: Mapping[str, Any]) -> list[str]:
    files = facts["files"]
    if files is None:
        return []
    kinds = [", ".join(f"{name} {count:,}" for name, count in files[kind].items()) for kind in ("formats", "modes")]
    lines = [f"Files: {kinds[0]}; modes: {kinds[1]}."]
    for side in ("width", "height", "shorter_side"):
        least, low, median, high, most = files[side]
        name = side.replace("_", " ").capitalize()
        lines.append(f"{name}: {least} to {most} pixels, median {median}, nine in ten from {low} to {high}.")
    return lines


def _describe_pixels(facts: Mapping[str, Any]) -> list[str]:
    mean, std = (", ".join(f"{value:.3f}" for value in facts[name]) for name in ("mean", "std"))
    scale = " of 1" if facts["dtype"] == "uint8" else ""
    lines = [f"Mean of the training {_name_inputs(facts)} {mean}{scale}, standard deviation {std}."]
    if facts["grey"]:
        lines.append(f"Grey, though there are three channels: {facts['grey']:,} of {facts['images']:,} images.")
    return lines


def _write_duplicates(facts: Mapping[str, Any]) -> None:
    found = [each for each in facts["duplicates"] if each["equal"] or each["nearly_equal"]]
    near = facts["nearly_equal_looked_for"]
    if not found:
        echo(f"No two {_name_inputs(facts)} are equal{', or nearly equal' if near else ''}.")
    else:
        rows = []
        for each in found:
            first, second = each["splits"]
            pairs = (each["equal"] + each["nearly_equal"])[:NAMED]
            rows.append(
                [
                    f"within {first}" if first == second else f"{second} and {first}",
                    f"{len(each['equal']):,}",
                    f"{len(each['nearly_equal']):,}" if near else "-",
                    "; ".join(" = ".join(pair) for pair in pairs),
                ]
            )
        write_rows(["duplicates", "equal", "nearly equal", "first"], rows)
    if not near and facts["dims"] == 2:
        echo("The images are too small to tell which are nearly equal.")
