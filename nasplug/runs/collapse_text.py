"""What a user reads about the signs of a collapse: what was seen, and which options of the run may help."""

from __future__ import annotations

from nasplug.values.recipe import Recipe

STRONGER = 10
"""Factor of a suggested weight decay of alpha."""
REGULARISED = 3
"""Factor of a suggested weight decay of the weights: the step between the values that Zela et al. (ICLR 2020, section
5) compare."""
LONGER = 2
"""Factor of suggested epochs."""
FASTER = 3
"""Factor of a suggested learning rate of alpha."""


def describe_parameterless(recipe: Recipe, share: float, expected: float, since: int, epoch: int) -> str:
    """Too many operations have no parameters: `share` of them after `epoch`, where random picks have `expected`.

    They have been too many since the epoch `since`.
    """
    when = f"After epoch {epoch}" if since == epoch else f"From epoch {since} to epoch {epoch}"
    remedies = _stop_after(recipe, since - 1)
    if (decay := _alpha_option(recipe, "alpha_weight_decay")) is not None:
        remedies.append(f"--set optimizer.alpha_weight_decay={decay * STRONGER or 1e-3:g}")
    if recipe.budget.weight > 0:
        remedies.append(f"--set budget.weight={recipe.budget.weight / 2:g}, since costs favour such operations")
    return (
        f"{when}, most operations that the search would pick had no parameters, such as skip connections and pools "
        f"(in the end {share:.0%}; of random picks {expected:.0%}): it may have collapsed. {_suggest(remedies)}"
    )


def describe_growth(recipe: Recipe, before: float, after: float, epoch: int, window: int) -> str:
    """The mean eigenvalue over `window` epochs grew from `before` to `after`, which is that up to `epoch`."""
    first, second = f"{epoch - 2 * window + 1} to {epoch - window}", f"{epoch - window + 1} to {epoch}"
    decay = recipe.search.weight_decay * REGULARISED or 3e-4
    return (
        f"The dominant eigenvalue of the Hessian with respect to alpha grew from {before:.3g} (mean of epochs {first}) "
        f"to {after:.3g} (epochs {second}): what is found may lose much when it becomes discrete. "
        f"{_suggest([*_stop_after(recipe, epoch - window), f'--set search.weight_decay={decay:g}'])}"
    )


def describe_indecision(recipe: Recipe, entropy: float, epoch: int) -> str:
    """The weights of the candidates are nearly uniform at the end, after `epoch`."""
    remedies = [f"--set search.epochs={recipe.search.epochs * LONGER}"]
    if (rate := _alpha_option(recipe, "alpha_lr")) is not None:
        remedies.append(f"--set optimizer.alpha_lr={rate * FASTER:g}")
    return (
        f"The search has hardly decided: after epoch {epoch}, its last, candidates still weigh nearly the same "
        f"(entropy {entropy:.3f}, where 1 is uniform), so that small differences made the architecture. "
        f"{_suggest(remedies)}"
    )


def _stop_after(recipe: Recipe, epochs: int) -> list[str]:
    """A search of so many epochs, if there are any, and if it is shorter so: later supernets count epochs further."""
    return [f"--set search.epochs={epochs}"] if 0 < epochs < recipe.search.epochs else []


def _alpha_option(recipe: Recipe, name: str) -> float | None:
    """An option of the optimizer, if it has one of this name."""
    value = recipe.parts["optimizer"].options.get(name)
    return value if isinstance(value, int | float) else None


def _suggest(remedies: list[str]) -> str:
    return f"Another search may do better with {' or '.join([*remedies, 'another method'])}."
