"""Every combination of parts searches, or is refused before any training with a sentence that names what fits."""

from __future__ import annotations

import json
import re
from itertools import combinations, product
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file

from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.create import start
from nasplug.runs.search import found_genotypes, search
from nasplug.runs.teacher_training import train_teacher
from nasplug.runs.training import Stopped
from nasplug.store.events import Journal
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype

# Second-order and distilled searches of the largest supernets take long on a machine that does other work too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLUGINS = load_plugins()
NAMES = {
    slot: sorted({each.name for each in PLUGINS.registrations if each.slot == slot})
    for slot in ("space", "optimizer", "schedule", "teacher", "selector", "method")
}
TINY = {
    "compact": {
        "stages": ["s1 1x8", "s2 2x8"],
        "multipliers": [0.5, 1.0],
        "operations": ["res3", "ds3", "ir3e2", "skip"],
    },
    "darts per-type": {"cells": 3, "nodes": 2, "channels": 2, "operations": ["darts"], "topology": "per-type"},
    "darts per-cell": {"cells": 3, "nodes": 2, "channels": 2, "operations": ["nadd3"], "topology": "per-cell"},
    "nb201": {"cells": 1, "channels": 4},
    "mbconv": {"blocks": ["s1 1x8 2x8", "s2 1x8", "s2 1x16"], "channels": 8},
}
"""The spaces of the matrix, and their smallest sensible forms."""
COMBINATIONS = list(product(TINY, NAMES["optimizer"], NAMES["schedule"], NAMES["teacher"]))


def pairwise_sample() -> list[tuple[str, ...]]:
    """So many combinations that any two parts of different slots meet in one of them, greedily."""
    axes = range(4)
    left = {(a, one[a], b, one[b]) for one in COMBINATIONS for a, b in combinations(axes, 2)}
    sample = []
    while left:
        best = max(COMBINATIONS, key=lambda one: sum((a, one[a], b, one[b]) in left for a, b in combinations(axes, 2)))
        left -= {(a, best[a], b, best[b]) for a, b in combinations(axes, 2)}
        sample.append(best)
    return sample


SAMPLE = set(pairwise_sample())


def cases(every: list[tuple[str, ...]], sample: set[tuple[str, ...]]) -> list[object]:
    return [pytest.param(*one, id="-".join(one), marks=[] if one in sample else [pytest.mark.matrix]) for one in every]


def layer(space: str, images: Path, **parts: str) -> dict[str, dict[str, object]]:
    """What a user would ask for: little data, one epoch of a few steps."""
    named: dict[str, dict[str, object]] = {slot: {"part": part} for slot, part in parts.items()}
    named["space"] = {"part": space.partition(" ")[0], **TINY[space]}
    if space.startswith("darts"):
        named["space"]["choices"] = "node" if parts.get("schedule") == "shrink" and "cell" in space else "edge"
    if parts.get("optimizer") == "single-path":
        named["selector"] = {"limit": 4, "trail": 3}
    return {
        **named,
        "data": {"name": f"arrays:{images}", "validation": 0.0},
        "search": {"epochs": 1, "batch_size": 8, "lr": 0.01},
        "retrain": {"epochs": 1, "batch_size": 32, "auxiliary": 0.0, "cells": None, "channels": None, "widths": []},
        "run": {"threads": 1, "device": "cpu", "checkpoint_seconds": 1000.0, "measure_every": 0},
    }


def recipe_of(layers):
    filled = {
        section: {name: value for name, value in options.items() if value is not None}
        for section, options in layers.items()
    }
    return resolve(PLUGINS, [filled])


@attrs.define
class After:
    """Stops after so many questions."""

    left: int

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


def search_state(context: RunContext, stop) -> None:
    journal = Journal(context.folder.events, lambda event: None)
    for name, phase in (("teacher", train_teacher), ("search", search)):
        if context.folder.done(name) is None:
            for _ in phase(context, journal, stop):
                pass


def events_of(context: RunContext) -> list[str]:
    return context.folder.events.read_text().splitlines()


def check_search(layers, tmp_path) -> None:
    """A search ends with genotypes that can be used, and ends the same when it is stopped on the way."""
    whole = start(tmp_path / "whole", PLUGINS, recipe_of(layers), [])
    search_state(whole, lambda: False)
    found = found_genotypes(whole)
    assert found
    space = whole.composition.space
    for genotype in list(dict.fromkeys(found))[:3]:
        assert Genotype.from_json(genotype.to_json()) == genotype
        space.check(genotype)
        net = space.network(genotype, whole.shape)
        assert net.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 4)
        assert space.cost(genotype, whole.shape).params == sum(parameter.numel() for parameter in net.parameters())

    broken = start(tmp_path / "broken", PLUGINS, recipe_of(layers), [])
    steps = sum(json.loads(line)["phase"] == "search" for line in events_of(whole))
    teaching = len(events_of(whole)) - steps
    with pytest.raises(Stopped):
        search_state(broken, After(teaching + (steps + 1) // 2))
    again = reopen_context(RunFolder.existing(tmp_path / "broken"), PLUGINS)
    search_state(again, lambda: False)
    assert events_of(again) == events_of(whole)
    if whole.composition.optimizer.trains:
        expected, actual = (load_file(each.folder.checkpoint("search")) for each in (whole, again))
        assert expected.keys() == actual.keys()
        assert all(torch.equal(value, actual[name]) for name, value in expected.items())


def check_refusal(refused: InputError, layers) -> None:
    """The sentence names at least one part or option that does away with this reason; there may be a second one."""
    message = str(refused)
    remedies = []
    for slot, listed in re.findall(r"(\w+?)s that [^:.]*: ([a-z0-9, -]+)", message, re.IGNORECASE):
        remedies += [(slot.lower(), name.strip()) for name in listed.split(",") if name.strip() != "none"]
    options = re.findall(r"--set (\w+)\.(\w+)=([\w-]+)", message)
    assert remedies or options, message
    for slot, name in remedies:
        assert name in NAMES[slot], message
    changed = [layers | {slot: {"part": name}} for slot, name in remedies]
    changed += [layers | {section: {**layers[section], option: value}} for section, option, value in options]
    assert any(reason_against(each) != message for each in changed), message


def reason_against(layers) -> str | None:
    try:
        compose(PLUGINS, recipe_of(layers))
    except InputError as refused:
        return str(refused)
    return None


@pytest.mark.parametrize(("space", "optimizer", "schedule", "teacher"), cases(COMBINATIONS, SAMPLE))
def test_a_combination_searches_or_is_refused(space, optimizer, schedule, teacher, few_images, tmp_path):
    layers = layer(space, few_images, optimizer=optimizer, schedule=schedule, teacher=teacher)
    try:
        compose(PLUGINS, recipe_of(layers))
    except InputError as refused:
        check_refusal(refused, layers)
        return
    check_search(layers, tmp_path)


METHODS = list(product(NAMES["method"], TINY))


@pytest.mark.parametrize(("method", "space"), cases(METHODS, {(m, s) for m, s in METHODS if s == "darts per-cell"}))
def test_a_method_searches_a_space_or_is_refused(method, space, few_images, tmp_path):
    layers = layer(space, few_images)
    layers["run"] |= {"method": method, "preset": "tiny"}
    if method == "dna":
        layers["selector"] = {"limit": 4, "trail": 3}
    try:
        compose(PLUGINS, recipe_of(layers))
    except InputError as refused:
        check_refusal(refused, layers)
        return
    check_search(layers, tmp_path)


def test_the_sample_meets_every_pair():
    pairs = {(a, one[a], b, one[b]) for one in COMBINATIONS for a, b in combinations(range(4), 2)}
    assert pairs == {(a, one[a], b, one[b]) for one in SAMPLE for a, b in combinations(range(4), 2)}
    assert len(SAMPLE) < len(COMBINATIONS) / 3
