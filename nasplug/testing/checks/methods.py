"""Checks of methods: the parts, options and presets that a recipe names exist and fit together."""

from __future__ import annotations

from nasplug.compose import compose, resolve
from nasplug.errors import InputError, Missing
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import Failed, require
from nasplug.testing.tiny_search import whole
from nasplug.values import Found, Method


@check("method")
def has_presets(case: Case) -> None:
    """There is a preset `laptop`, the default, and a preset of the name that `paper` gives, if it gives one.

    `nasplug run --method NAME` without a preset takes `laptop`.
    """
    method: Method = case.target
    names = ", ".join(method.presets) or "none"
    require("laptop" in method.presets, f"the presets are {names}", "add a preset 'laptop' that is fast on a CPU")
    require(
        not method.paper or method.paper in method.presets,
        f"the paper's preset is '{method.paper}', but the presets are {names}",
        "set paper to one of them, or leave it empty",
    )


@check("method")
def fits_together_in_every_preset(case: Case) -> None:
    """In every preset all parts and options exist, values are valid, and the parts can be combined.

    A recipe breaks unnoticed when a part that it names renames an option.
    """
    method: Method = case.target
    for preset in method.presets:
        layer = {"run": {"method": case.registration.qualified if case.registration else case.name, "preset": preset}}
        try:
            compose(case.plugins, resolve(case.plugins, [layer]))
        except Missing:
            continue  # the user has to name a file first
        except InputError as error:
            raise Failed(
                f"with the preset '{preset}' it is refused: {str(error).rstrip('.')}", "fix the preset or the recipe"
            ) from error


@check("method")
def finds_architectures_of_its_space(case: Case) -> None:
    """A search of a few steps finds architectures that its space can build.

    The architectures found are all that a search leaves to the rest of the run.
    """
    search = case.once(whole)
    found = [event.genotype for event in search.decided if isinstance(event, Found)]
    found += [step.snapshot for step in search.steps if step.snapshot is not None]
    require(
        bool(found),
        f"after {len(search.steps)} steps it has found none",
        "choose an optimizer that decides, or a schedule that takes snapshots",
    )
    for genotype in found[-3:]:
        search.parts.space.check(genotype)
        search.parts.space.network(genotype, search.shape)
