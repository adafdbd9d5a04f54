"""The parts that the case under check is combined with in a tiny search.

They are those that a method of the same package names, else simple parts of the core. A part that refuses one of them
is believed: what it would do with it is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.parts import (
    ArchitectureOptimizer,
    DistillationTeacher,
    PruningSchedule,
    SearchSpace,
    Selector,
    supernet_spaces,
)
from nasplug.testing.case import Case
from nasplug.testing.outcome import NotApplicable
from nasplug.testing.toy import Toy, Weakest
from nasplug.values import Method, Training
from nasplug.values.options import build
from nasplug.values.recipe import SLOTS, SearchOptions

PLAIN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "optimizer": ("bilevel", {"alpha_lr": 0.1}),
    "schedule": ("keep", {}),
    "teacher": ("labels", {}),
    "selector": ("", {}),
}
"""Companions of a part that no method of its own package names; the selector is what the optimizer asks for."""
PRESETS = ("tiny", "laptop")
"""Presets that are meant to be fast, the fastest first."""
CHANNELS, CELLS = (4, 2, 8, None), (1, 2, 3, None)
"""Channels and cells that `smallest` tries in turn, until the space accepts them; None leaves the space's own."""


@attrs.frozen(eq=False)
class Parts:
    """The parts of one search, and how it trains."""

    space: SearchSpace
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    teacher: DistillationTeacher
    selector: Selector
    training: Training


@attrs.frozen(eq=False)
class SearchSetup:
    """Everything that is needed to build the parts of a tiny search, so that each search has its own instances."""

    classes: Mapping[str, type[Any]]
    options: Mapping[str, Mapping[str, Any]]
    space: SearchSpace
    training: Training

    def parts(self) -> Parts:
        """New parts, in their initial state."""
        parts = {slot: build(cls, self.options[slot], slot) for slot, cls in self.classes.items()}
        return Parts(space=self.space, training=self.training, **parts)


def plan(case: Case) -> SearchSetup:
    """Plans the tiny search of a case: which parts it is combined with, their options and how it trains.

    It trains for a few steps on a few images. NotApplicable where one of the parts refuses the space.
    """
    setup = _set_up(case, case.once(space_of))
    error = find_refusal(setup.parts())
    if error is not None:
        raise NotApplicable(f"its companions are refused: {str(error).rstrip('.')}")
    return setup


def _set_up(case: Case, space: SearchSpace) -> SearchSetup:
    """A tiny search in a space, whether its parts accept it or not."""
    method = None if case.slot == "space" else _method(case)
    classes, options = _choose(case, method)
    search = _sections(method).get("search", {})
    search = {name: value for name, value in search.items() if name in ("optimizer", "lr", "betas")}
    training = build(SearchOptions, {"lr": 0.1, **search, "epochs": 2, "batch_size": 8, "augment": "none"}, "search")
    return SearchSetup(classes, options, space, training)


def _choose(case: Case, method: Method | None) -> tuple[dict[str, type[Any]], dict[str, Mapping[str, Any]]]:
    """The classes of the parts beside the space, and their options, by slot."""
    sections = _sections(method)
    names: dict[str, str] = {}
    options: dict[str, Mapping[str, Any]] = {}
    for slot, (name, defaults) in PLAIN.items():
        section = {"part": name, **defaults} if method is None else sections[slot]
        if slot == case.slot and section["part"] != case.name:
            section = {"part": case.name}
        names[slot] = section["part"] or _class(case, "optimizer", names["optimizer"]).selector
        small = case.options.get(f"{slot} {names[slot]}", {})
        options[slot] = {name: value for name, value in {**section, **small}.items() if name != "part"}
    classes = {slot: _class(case, slot, name) for slot, name in names.items()}
    if case.slot == "space":
        classes["schedule"], options["schedule"] = Weakest, {}
    return classes, options


def space_of(case: Case) -> SearchSpace:
    """The space of a tiny search: for spaces and methods their own, at a small size; for all others the toy space.

    With parts that refuse the toy space, it is that of the method of the package.
    """
    method = _method(case)
    in_toy_space = case.slot not in ("space", "method")
    if in_toy_space and (method is None or find_refusal(_set_up(case, Toy()).parts()) is None):
        return Toy()
    section = _sections(method).get("space", {})
    name = section.pop("part", case.name)
    small = case.options.get(f"space {name}", {})
    space: SearchSpace = build(_class(case, "space", name), {**section, **small}, f"space {name}")
    return space if small else smallest(space)


def find_refusal(parts: Parts) -> InputError | None:
    """What the first part that refuses the space says, such as a schedule that needs cells that share their choices."""
    try:
        supernet_spaces(parts.schedule, parts.space)
        parts.teacher.check(parts.space)
        parts.optimizer.check(parts.space, parts.training)
        parts.selector.check(parts.space)
    except InputError as error:
        return error
    return None


def smallest(space: SearchSpace) -> SearchSpace:
    """The space at the first size of CELLS x CHANNELS that it accepts, with several choices that all belong to blocks.

    The space as it is if it accepts none of these sizes.
    """
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
    """The name of the fastest preset; None if the method has none."""
    return next((name for name in (*PRESETS, *method.presets) if name in method.presets), None)


def _method(case: Case) -> Method | None:
    """The method under check, or the first of its package that names the part under check."""
    return next(
        (method for method in _methods(case) if case.slot == "method" or getattr(method, case.slot, None) == case.name),
        None,
    )


def _methods(case: Case) -> Iterator[Method]:
    if case.slot == "method":
        yield case.target
        return
    for registration in case.plugin.registers:
        if registration.slot == "method":
            try:
                target = case.plugins.resolve(registration)
            except InputError:  # another check reports this
                continue
            if isinstance(target, Method):
                yield target


def _sections(method: Method | None) -> dict[str, dict[str, Any]]:
    """The options of a method by section, those of its fastest preset included."""
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
