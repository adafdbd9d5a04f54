"""Several kinds in one package."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.errors import InputError
from nasplug.plugins import SLOT_WORDS
from nasplug.scaffold.kinds import Kind

WORDS = {**SLOT_WORDS, "observer": "observer"}


def combine(kinds: Sequence[Kind]) -> Kind:
    """The package of all these kinds, which registers its short name once in each of their slots.

    Raises InputError if two of them register in the same slot, or if a kind is given twice.
    """
    if len(kinds) == 1:
        return kinds[0]
    taken: dict[str, str] = {}
    for kind in kinds:
        for slot in kind.slots or kind.names:
            if slot in taken:
                also = "twice" if taken[slot] == kind.name else f"by the kinds {taken[slot]} and {kind.name}"
                raise InputError(
                    f"A package has one {WORDS[slot]} of its name, but it would be written {also}; leave one of them "
                    f"out, and add a second {WORDS[slot]} to the package by hand."
                )
            taken[slot] = kind.name
    words = [WORDS[kind.name] for kind in kinds]
    return Kind(
        names=tuple(kind.name for kind in kinds),
        summary=f"Several parts in one: {', '.join(words[:-1])} and {words[-1]}.",
        modules={module: template for kind in kinds for module, template in kind.modules.items()},
        tests={test: template for kind in kinds for test, template in kind.tests.items()},
        abouts=tuple(about for kind in kinds for about in kind.abouts),
        runs=tuple(dict.fromkeys(run for kind in kinds for run in kind.runs)),
        registers=tuple(one for kind in kinds for one in kind.registers),
        observer="".join(kind.observer for kind in kinds),
        requires=tuple(sorted({requirement for kind in kinds for requirement in kind.requires})),
    )
