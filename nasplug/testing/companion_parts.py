"""The parts with which a thing is tried: those that a method of its package names, else plain ones of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, DistillationTeacher, PruningSchedule, SearchSpace
from nasplug.testing.case import Case
from nasplug.testing.toy import Toy, Weakest
from nasplug.values import Method, Training
from nasplug.values.options import build
from nasplug.values.recipe import SLOTS, SearchOptions

PLAIN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "optimizer": ("bilevel", {"alpha_lr": 0.1}),
    "schedule": ("keep", {}),
    "teacher": ("labels", {}),
}
"""Partners for a part that no method of its own package names."""
PRESETS = ("tiny", "laptop")
"""Presets that are meant to be quick, the quickest first."""
CHANNELS, CELLS = (4, 2, 8, None), (1, 2, 3, None)
"""Sizes of networks that are tried, until a space has one of them."""


@attrs.frozen(eq=False)
class Parts:
    """What a search is made of."""

    space: SearchSpace
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    teacher: DistillationTeacher
    training: Training


@attrs.frozen(eq=False)
class Plan:
    """How the parts of a trial are made, so that each search can have its own."""

    classes: Mapping[str, type[Any]]
    options: Mapping[str, Mapping[str, Any]]
    space: SearchSpace
    training: Training

    def parts(self) -> Parts:
        """New parts, in their initial state."""
        made = {slot: build(cls, self.options[slot], slot) for slot, cls in self.classes.items()}
        return Parts(space=self.space, training=self.training, **made)


def plan(case: Case) -> Plan:
    """With what, and how, the thing under check is tried: a few steps on a few images."""
    method = None if case.slot == "space" else _method(case)
    sections = _sections(method)
    named: dict[str, str] = {}
    options: dict[str, Mapping[str, Any]] = {}
    for slot, (name, plain) in PLAIN.items():
        section = {"part": name, **plain} if method is None else sections[slot]
        if slot == case.slot and section["part"] != case.name:
            section = {"part": case.name}
        named[slot] = section["part"]
        given = case.options.get(f"{slot} {named[slot]}", {})
        options[slot] = {name: value for name, value in {**section, **given}.items() if name != "part"}
    classes = {slot: _class(case, slot, name) for slot, name in named.items()}
    if case.slot == "space":
        classes["schedule"], options["schedule"] = Weakest, {}
    search = {name: value for name, value in sections.get("search", {}).items() if name in ("optimizer", "lr", "betas")}
    training = build(SearchOptions, {"lr": 0.1, **search, "epochs": 2, "batch_size": 8, "augment": "none"}, "search")
    return Plan(classes, options, case.once(space_of), training)


def space_of(case: Case) -> SearchSpace:
    """The space of a trial: for spaces and methods their own, as small as it can be; for others the toy space."""
    if case.slot not in ("space", "method"):
        return Toy()
    method = _method(case)
    section = _sections(method).get("space", {})
    name = section.pop("part", case.name)
    given = case.options.get(f"space {name}", {})
    space: SearchSpace = build(_class(case, "space", name), {**section, **given}, f"space {name}")
    return space if given else smallest(space)


def smallest(space: SearchSpace) -> SearchSpace:
    """The space with the first of some small sizes that it has, with several choices that all matter."""
    for cells in CELLS:
        for channels in CHANNELS:
            try:
                small = space.scaled(channels=channels, cells=cells)
                small.check(small.random(Random(0)))
            except InputError:
                continue
            choices = small.choice_list()
            if len(choices) > 1 and all(choice.blocks for choice in choices):
                return small
    return space


def preset_of(method: Method) -> str | None:
    """The quickest preset, if there is any."""
    return next((name for name in (*PRESETS, *method.presets) if name in method.presets), None)


def _method(case: Case) -> Method | None:
    """The method under check, or the first of its package that names the part under check."""
    return next(
        (each for each in _methods(case) if case.slot == "method" or getattr(each, case.slot, None) == case.name), None
    )


def _methods(case: Case) -> Iterator[Method]:
    if case.slot == "method":
        yield case.target
        return
    for registration in case.plugin.registers:
        if registration.slot == "method":
            try:
                target = case.plugins.resolve(registration)
            except InputError:  # a check of its own says so
                continue
            if isinstance(target, Method):
                yield target


def _sections(method: Method | None) -> dict[str, dict[str, Any]]:
    """The options of a method by section, those of its quickest preset included."""
    if method is None:
        return {}
    sections: dict[str, dict[str, Any]] = {slot: {"part": getattr(method, slot)} for slot in SLOTS}
    name = preset_of(method)
    for layer in (method.options, method.presets[name] if name else {}):
        for section, values in layer.items():
            here = sections.setdefault(section, {})
            if values.get("part", here.get("part")) != here.get("part"):
                here.clear()
            here.update(values)
    return sections


def _class(case: Case, slot: str, name: str) -> type[Any]:
    own = (slot, name) == (case.slot, case.name)
    target: type[Any] = case.target if own else case.plugins.resolve(case.plugins.find(slot, name))
    return target
