"""The methods of the default plugin: DARTS, and without a supernet random search and evolution."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug.values import Method
from nasplug.values.darts import DARTS, Preset
from nasplug.values.method import Options
from nasplug.values.recipes import COMPACT, COMPACT_CIFAR

__all__ = ["DARTS", "EVOLUTION", "RANDOM"]


SEARCHES = ("compact", "paper-cifar10-first")
"""Presets of DARTS that random search has not, or has another one for."""


def _make_random_preset(preset: Options) -> Preset:
    """A preset without the search: as many networks as DARTS has widths, at least four, at one width."""
    retrain = {name: value for name, value in preset["retrain"].items() if name != "widths"}
    widths = preset["retrain"]["widths"]
    if len(widths) == 1:
        retrain["channels"] = widths[0]
    samples = max(4, len(widths))
    kept = {section: dict(preset[section]) for section in ("run", "space", "data") if section in preset}
    return {
        **kept,
        "optimizer": {"samples": samples},
        "retrain": retrain,
        "select": {**preset.get("select", {}), "networks": samples, "random": 0},
    }


COMPACT_SEARCH: Preset = {**COMPACT, "optimizer": {"samples": 16}, "select": {**COMPACT["select"], "random": 0}}
"""Small networks for small devices: random ones, of which a tournament chooses."""

COMPACT_CIFAR10: Preset = {
    "space": {"part": "compact"},
    "data": {"name": "cifar10"},
    "optimizer": {"samples": 8},
    "retrain": {**COMPACT_CIFAR},
    "select": {"networks": 8, "random": 0},
}
"""Small networks for small devices, as many as the preset of this name of the method `dna` trains."""

RANDOM = Method(
    name="random",
    space=DARTS.space,
    optimizer="random",
    options={"space": DARTS.options["space"]},
    presets={
        **{name: _make_random_preset(preset) for name, preset in DARTS.presets.items() if name not in SEARCHES},
        "compact": COMPACT_SEARCH,
        "compact-cifar10": COMPACT_CIFAR10,
    },
    paper=DARTS.paper,
)


def _evolve(preset: Options, selector: Mapping[str, int], networks: int, **select: int) -> Preset:
    """A preset of random search whose architectures are evolved; `networks` of them are retrained."""
    return {
        **{section: dict(options) for section, options in preset.items()},
        "optimizer": {"samples": selector["population"]},
        "selector": dict(selector),
        "select": {**preset.get("select", {}), "networks": networks, "random": 1, **select},
    }


EVOLUTION = Method(
    name="evolution",
    space="compact",
    optimizer="random",
    selector="evolution",
    presets={
        "tiny": _evolve(
            {**RANDOM.presets["tiny"], "space": {"part": "compact"}},
            {"population": 2, "generations": 1, "children": 2, "epochs": 1},
            networks=1,
        ),
        "laptop": _evolve(
            {**RANDOM.presets["laptop"], "space": {"part": "compact"}},
            {"population": 8, "generations": 4, "children": 4, "epochs": 5},
            networks=2,
        ),
        "compact": _evolve(
            COMPACT_SEARCH, {"population": 8, "generations": 6, "children": 4, "epochs": 3}, networks=1, candidates=4
        ),
    },
)
