"""Methods: recipes whose names, options and presets exist and fit together."""

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
    """There is a preset `laptop`, which is the default, and the one that is named as the paper's.

    `nasplug run --method NAME` without more takes the preset laptop.
    """
    method: Method = case.target
    names = ", ".join(method.presets) or "none"
    require("laptop" in method.presets, f"the presets are {names}", "add a preset 'laptop' that is quick on a CPU")
    require(
        not method.paper or method.paper in method.presets,
        f"the paper's preset is '{method.paper}', but the presets are {names}",
        "name one of them as paper, or none",
    )


@check("method")
def fits_together_in_every_preset(case: Case) -> None:
    """With every preset all parts and options exist, have values that they may have, and go together.

    A recipe breaks silently when a part that it names changes an option.
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
                f"with the preset '{preset}' it is refused: {str(error).rstrip('.')}", "mend the preset or the recipe"
            ) from error


@check("method")
def finds_architectures_of_its_space(case: Case) -> None:
    """A search of a few steps finds architectures that its space can build.

    The trail is all that a search leaves.
    """
    trial = case.once(whole)
    found = [each.genotype for each in trial.decided if isinstance(each, Found)]
    found += [step.snapshot for step in trial.steps if step.snapshot is not None]
    require(
        bool(found),
        f"after {len(trial.steps)} steps it has found none",
        "take an optimizer that decides, or a schedule with snapshots",
    )
    for genotype in found[-3:]:
        trial.parts.space.check(genotype)
        trial.parts.space.network(genotype, trial.shape)
