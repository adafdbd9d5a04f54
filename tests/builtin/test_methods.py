from __future__ import annotations

import subprocess
import sys

import pytest

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts import Darts
from nasplug.builtin.methods import DARTS, EVOLUTION, RANDOM
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.builtin.selectors.evolution import Evolution
from nasplug.values import Method
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions, SelectOptions

SPACES: dict[str, type] = {"compact": Compact, "darts": Darts, "nb201": NasBench201}
SECTIONS: dict[str, type] = {"search": SearchOptions, "retrain": RetrainOptions, "select": SelectOptions}


@pytest.mark.parametrize(
    ("method", "optimizer", "preset"),
    [
        *((DARTS, Bilevel, name) for name in DARTS.presets),
        *((method, RandomSearch, name) for method in (RANDOM, EVOLUTION) for name in method.presets),
    ],
)
def test_every_option_of_every_preset_is_known(method: Method, optimizer: type, preset: str) -> None:
    named = method.presets[preset].get("space", {}).get("part", method.space)
    kinds = {**SECTIONS, "optimizer": optimizer, "space": SPACES[named], "selector": Evolution}
    for name, kind in kinds.items():
        kept = method.options.get(name, {}) if name != "space" or named == method.space else {}
        options = {**kept, **method.presets[preset].get(name, {})}
        options.pop("part", None)
        build(kind, options, name)


def test_darts_is_retrained_at_several_widths() -> None:
    assert len(DARTS.presets["laptop"]["retrain"]["widths"]) > 1
    assert DARTS.presets["paper-cifar10"]["retrain"]["widths"] == [36]
    assert RANDOM.presets["paper-cifar10"]["retrain"]["channels"] == 36
    assert DARTS.presets["paper-imagenet"]["retrain"]["widths"] == [48]


def test_both_orders_of_darts_have_a_preset_and_random_search_has_one_for_both():
    first, second = DARTS.presets["paper-cifar10-first"], DARTS.presets["paper-cifar10"]
    assert DARTS.options["optimizer"]["order"] == "first"
    assert second == {**first, "optimizer": {"order": "second"}}
    assert "optimizer" not in first
    assert DARTS.paper == "paper-cifar10"
    assert set(RANDOM.presets) - {"compact-cifar10"} == set(DARTS.presets) - {"paper-cifar10-first"}


def test_methods_are_compared_on_small_networks_by_one_recipe():
    sections = ("space", "data", "retrain")
    assert [DARTS.presets["compact"][name] for name in sections] == [
        RANDOM.presets["compact"][name] for name in sections
    ]
    assert {**DARTS.presets["compact"]["select"], "random": 0} == RANDOM.presets["compact"]["select"]


def test_reading_a_recipe_does_not_import_torch() -> None:
    code = "import sys, nasplug.builtin.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
