"""Whatever is handed over as text or as a file is read, or refused in a sentence: never a traceback, never a hang.

Texts and files are samples that work, with random changes, always the same ones. The ordinary suite tries few of each;
`-m full` tries thousands.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import attrs
import click
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasplug.builtin.data_sets.arrays import Arrays
from nasplug.builtin.nb201.table import DATA_SETS, read_table
from nasplug.cli.cost import cost as cost_command
from nasplug.cli.failure import report_errors
from nasplug.cli.run import run as run_command
from nasplug.compose import parse_setting, read_config, recipe_sections
from nasplug.data import load_splits
from nasplug.errors import InputError
from nasplug.formats.regular_file import expand_home
from nasplug.plugins import Plugins, Settings, load_plugins
from nasplug.plugins.discovery import find_plugins
from nasplug.plugins.located_names import split_location
from nasplug.report.run_record import read_run_record
from nasplug.results.result import load
from nasplug.runs.decision import read_ratings
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.device import find_device
from nasplug.runs.pipeline import read_plans
from nasplug.scaffold import Names, new_folder
from nasplug.store.events import Tail, read_events
from nasplug.store.files import read_tensors
from nasplug.store.networks import load_network
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype, ImageShape
from tests.faults.texts import NASTY, changed, json_texts, mutated, tensor_files

FEW, MANY = 20, 5000
"""Inputs for each reader, in the ordinary suite and with `-m full`."""
SECONDS = 5.0
"""Of computing, that any of them may take."""
LONGEST = 1500
"""Letters of a message: what was given, at most 80 of it, and all that would work."""

IMAGES = ImageShape(channels=3, size=32, classes=10)
TYPES = ("normal", "reduce")


@attrs.frozen
class Reader:
    """Something that reads what a user hands over."""

    read: Callable[[Any, Path], object]
    """Reads one input; the folder is for files."""
    inputs: st.SearchStrategy[Any]
    whole_sentence: bool = True
    """Whether its refusals are sentences, not the ends of a caller's sentence."""


@cache
def plugins() -> Plugins:
    return load_plugins(Settings(), quiet=True)


def make_space(name: str) -> Any:
    return plugins().resolve(plugins().find("space", name))()


@cache
def genotypes(name: str) -> tuple[Genotype, ...]:
    return tuple(make_space(name).random(Random(seed)) for seed in range(3))


def read_architecture(name: str) -> Callable[[str, Path], object]:
    """Reads a genotype in a notation of a space, and prices it."""

    def read(text: str, _: Path) -> object:
        space = make_space(name)
        return space.cost(space.parse(text), IMAGES)

    return read


def published(genotype: Genotype) -> str:
    """A genotype of cells by type in the form of papers."""
    cells = {
        name: [[tuple(pick.split("@")) for pick in genotype[f"{name}/{n}"]] for n in range(2, 6)] for name in TYPES
    }
    texts = [
        f"{name}=[{', '.join(f'({operation!r}, {source})' for node in nodes for operation, source in node)}]"
        f", {name}_concat=range(2, 6)"
        for name, nodes in cells.items()
    ]
    return f"Genotype({', '.join(texts)})"


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[str | bytes, Path], object]:
    """Reads from a file of this name."""

    def write_and_read(content: str | bytes, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode(errors="surrogatepass") if isinstance(content, str) else content)
        return read(path)

    return write_and_read


def read_setting(text: str, _: Path) -> object:
    section, name, value = parse_setting(text, recipe_sections(plugins()))
    return resolve_recipe(plugins(), [{section: {name: value}}])


def read_recipe(path: Path) -> object:
    return resolve_recipe(plugins(), [read_config(path, recipe_sections(plugins()))])


def read_flag(command: Any, flag: str, more: tuple[str, ...] = ()) -> Callable[[str, Path], object]:
    """Reads the value of a flag, as the command line does."""

    def read(text: str, _: Path) -> object:
        try:
            with report_errors(None):
                return command.make_context("nasplug", [f"{flag}={text}", *more]).params
        except click.UsageError as error:
            raise InputError(error.format_message()) from error

    return read


def read_every_event(path: Path) -> object:
    tail = Tail(path, 0)
    folder = RunFolder(path.parent)
    return [tail.read(), list(read_events(path)), list(read_ratings(folder))]


def read_whole_result(path: Path) -> object:
    result = read_result(path.parent)
    (path.parent / "recipe.toml").write_text(RECIPE)
    read_run_record(path.parent)
    loaded = load(path.parent, plugins())
    return [result, loaded.networks, loaded.front, loaded.best(max_params=10**9)]


def read_record(path: Path) -> object:
    folder = RunFolder(path.parents[2])
    return read_plans(folder)


def read_plugin_path(text: str, folder: Path) -> Iterator[object]:
    return find_plugins([expand_home(text), folder / text.replace("/", "_")])


def read_project(path: Path) -> object:
    return [origin.range for origin in find_plugins([path.parent])]


EVENTS = (
    {"event": "step", "phase": "search", "step": 1, "epoch": 0, "loss": 1.5, "S": 2.0},
    {"event": "step", "phase": "search", "step": 2, "epoch": 0, "loss": 1.5, "stop": True, "stage": 1},
    {"event": "step", "phase": "a", "step": 2, "epoch": 0, "loss": 1, "reason": "epoch", "snapshot": {"schema": 1}},
    {"event": "found", "phase": "search", "step": 2, "reason": "decoded", "genotype": {"schema": 1}},
    {"event": "rated", "phase": "search", "block": 1, "rating": 0.5, "space": "darts", "path": {"0/2": ["none"]}},
    {
        "event": "warning",
        "phase": "search",
        "sign": "a",
        "step": 2,
        "epoch": 0,
        "value": 0.5,
        "limit": 0.4,
        "text": "b",
    },
)
NETWORK = {
    "id": "0123456789ab",
    "role": "found",
    "matched_to": None,
    "params": 10,
    "macs": 20,
    "val_error": 0.5,
    "test_error": None,
    "train_loss": 1.5,
    "source": "trained",
    "genotype": "genotypes/0123456789ab.json",
    "weights": "weights/0123456789ab.safetensors",
    "network": {"cells": 3, "channels": 4, "classes": 10, "size": 8, "stem": "cifar"},
}
RESULT = {
    "schema": 1,
    "status": "done",
    "method": "darts",
    "space": "darts",
    "dataset": "digits",
    "seed": 0,
    "data": {"classes": ["a", "b"], "size": 8, "channels": 1, "mean": [0.5], "std": [0.5]},
    "splits": {"train": 10, "validation": 2, "test": 3},
    "cost": {"search": {"seconds": 1.5, "peak_memory_bytes": 10, "device": "cpu"}},
    "figures": [{"name": "S", "label": "sparsity", "unit": "", "scale": "linear", "progress": None}],
    "ratings": [],
    "notes": ["a note"],
    "networks": [NETWORK, NETWORK | {"id": "b", "role": "random", "matched_to": "0123456789ab"}],
    "front": ["0123456789ab"],
    "best": "0123456789ab",
}
RECIPE = tomli_w.dumps(
    {
        "run": {"method": "darts", "preset": "tiny", "seed": 3, "threads": 1, "device": "cpu"},
        "space": {"part": "darts", "cells": 3, "operations": ["darts"]},
        "data": {"name": "digits", "validation": 0.1},
        "search": {"epochs": 2, "lr": 0.05, "betas": [0.9, 0.99], "nesterov": False},
        "retrain": {"widths": [4, 6], "augment": "standard"},
        "select": {"networks": 2, "max_params": 1000},
    }
)
PROJECT = """
[project]
name = "nasplug-mine"
version = "0.1"
dependencies = ["nasplug>=0.2,<0.3; python_version > '3'", "torch"]
[project.entry-points.nasplug]
mine = "nasplug_mine.hooks"
"""
SETTINGS = (
    *("search.epochs=3", "search.lr=0.1", "space.operations=darts7,none", 'space.operations=["darts"]'),
    *("run.device=cpu", "run.threads=2", "data.name=digits", "data.validation=0.2", "space.part=nb201"),
    *("search.betas=0.9,0.99", "select.max_params=none", "retrain.color_jitter=[0, 0, 0, 0]", "run.preset=tiny"),
)
TABLE = (
    "arch_str,cifar10_valid_acc,cifar10_test_acc\n"
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|,80.5,90\n"
    '"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",10,10.5\n'
)
BLOCKS = json.dumps(
    [["ds_r1_k3_s1_c16_se0.25"], *([f"ir_r2_k5_s{s}_e6_c{c}_se0.25"] for s, c in ((2, 24), (1, 32), (2, 64)))]
)
CELLS = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
FACTS = {
    "schema": 1,
    "space": {"part": "nb201", "options": {"channels": 4, "cells": 1}},
    "genotype": genotypes("nb201")[0].to_dict(),
    "data": {"classes": ["a", "b"], "size": 8, "channels": 1, "mean": [0.5], "std": [0.5]},
}
PLAN = {
    "role": "found",
    "genotype": FACTS["genotype"],
    "size": {"cells": 1},
    "params": 3,
    "macs": 4,
    "matched_to": None,
}
REFERENCE_FACTS = {
    "schema": 1,
    "reference": {"part": "nasplug:resnet8", "options": {"width": 0.25, "bias": False}},
    "data": FACTS["data"],
}
REFERENCE_PLAN = PLAN | {
    "role": "reference",
    "genotype": None,
    "reference": "timm:resnet18",
    "size": {"model": "resnet18"},
}


def lines_of(events: tuple[Any, ...]) -> st.SearchStrategy[str]:
    return st.lists(json_texts(events), max_size=4).map(lambda lines: "\n".join([*lines, ""]))


def metadata(**texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {name.replace("_", "-") if name == "x" else name: text for name, text in texts.items()}
    )


def notation(*samples: str) -> st.SearchStrategy[str]:
    return mutated(samples)


READERS = {
    **{
        f"genotype-{name}": Reader(
            read_architecture(name), json_texts(tuple(genotype.to_dict() for genotype in genotypes(name)))
        )
        for name in ("compact", "darts", "nb201", "mbconv")
    },
    "published-darts": Reader(read_architecture("darts"), notation(*map(published, genotypes("darts")))),
    "published-nb201": Reader(read_architecture("nb201"), notation(CELLS)),
    "line-compact": Reader(read_architecture("compact"), notation("16s1 res3 skip | 32s2 ds5 ir3e4", "resnet8")),
    "published-mbconv": Reader(read_architecture("mbconv"), notation(BLOCKS)),
    "setting": Reader(read_setting, mutated(SETTINGS)),
    "recipe": Reader(in_file("recipe.toml", read_recipe), mutated((RECIPE,))),
    "recorded-recipe": Reader(
        in_file("recipe.toml", lambda path: RunFolder(path.parent).recipe()), mutated((RECIPE + "[plugins]",))
    ),
    "table": Reader(
        lambda text, _: read_table(text.encode(errors="surrogatepass"), DATA_SETS[0]), mutated((TABLE,)), False
    ),
    "events": Reader(in_file("events.jsonl", read_every_event), lines_of(EVENTS)),
    "result": Reader(in_file("result.json", read_whole_result), json_texts((RESULT,))),
    "plans": Reader(in_file("phases/select/done.json", read_record), json_texts(({"plans": [PLAN, REFERENCE_PLAN]},))),
    "splits": Reader(
        in_file("splits.safetensors", load_splits),
        tensor_files(("train", "validation", "test"), metadata(test_from=st.sampled_from(("train", "test", "x", "")))),
    ),
    "weights": Reader(
        in_file("network.safetensors", lambda path: load_network(path, plugins())),
        tensor_files(("a", "b"), metadata(nasplug=json_texts((FACTS, REFERENCE_FACTS))) | st.none()),
    ),
    "checkpoint": Reader(
        in_file("checkpoint.safetensors", lambda path: read_tensors(path, "checkpoint")),
        tensor_files(("a", "b"), metadata(nasplug=json_texts(({"stage": 0, "step": 1},))) | st.none()),
    ),
    "arrays": Reader(
        in_file("data.safetensors", lambda path: Arrays().load(str(path), None, False)),
        tensor_files(("images", "labels"), metadata(classes=json_texts((["a", "b"],)))),
    ),
    "plugin-path": Reader(read_plugin_path, mutated(("./x.py", "~/x", "~nobody/x", "/dev/zero", "x" * 300))),
    "plugin-project": Reader(in_file("pyproject.toml", read_project), mutated((PROJECT,))),
    "limits": Reader(read_flag(run_command, "--max-params"), mutated(("1000", "1e6", "-1"))),
    "size": Reader(read_flag(cost_command, "--size", ("--genotype={}",)), mutated(("32", "0"))),
    "device": Reader(lambda text, _: find_device(text), mutated(("cuda:0", "cpu", "auto", "cuda"))),
    "data-name": Reader(
        lambda text, _: split_location(plugins(), "dataset", text), mutated(("folder:C:/x", "nasplug:digits", "digits"))
    ),
    "scaffold": Reader(
        lambda text, _: Names.of_folder(new_folder(Path(text))), mutated(("nasplug-mine", "~/mine", "../mine"))
    ),
    "option": Reader(
        lambda value, _: resolve_recipe(plugins(), [value]),
        changed(
            ({"search": {"lr": 0.1, "epochs": 2, "betas": [0.9, 0.99]}, "run": {"seed": 1, "device": "cpu"}},)
        ).filter(
            lambda layer: isinstance(layer, dict) and all(isinstance(section, dict) for section in layer.values())
        ),
    ),
}


def check_refusal(error: InputError, given: object, whole_sentence: bool) -> None:
    message = str(error)
    assert message
    assert "\n" not in message
    assert len(message) <= LONGEST, message
    assert all(word[:120] not in message for word in NASTY if len(word) > 1000)
    if whole_sentence:
        assert message.endswith((".", "?")), message
        assert not message.startswith("it "), message


def try_inputs(reader: Reader, folder: Path, count: int) -> None:
    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(reader.inputs)
    def holds(given_input: Any) -> None:
        before = time.process_time()
        try:
            reader.read(given_input, folder)
        except InputError as error:
            check_refusal(error, given_input, reader.whole_sentence)
        assert time.process_time() - before < SECONDS

    holds()


@pytest.mark.parametrize("name", READERS)
def test_what_is_handed_over_is_read_or_refused_in_a_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    try_inputs(READERS[name], tmp_path, FEW)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", READERS)
def test_thousands_of_inputs_are_read_or_refused_in_a_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    try_inputs(READERS[name], tmp_path, MANY)
