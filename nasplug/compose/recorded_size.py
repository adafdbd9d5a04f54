"""The size that is recorded with a network, and that it is built with again."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug.errors import InputError, quote
from nasplug.parts import SearchSpace
from nasplug.values.options import build, option_values


def resize_space(space: SearchSpace, size: Mapping[str, int | float | str]) -> SearchSpace:
    """The space with networks of a recorded size."""
    return build(type(space), option_values(space) | dict(size), f"space {space.name}")


def check_recorded_size(space: SearchSpace, resized: SearchSpace) -> None:
    """Raises InputError if `resized`, which is `space` at another size, is not what its record of the size gives back.

    A run records `resized.size()` with every network, and builds the network from it after the search.
    """
    size = dict(resized.size())
    try:
        rebuilt = option_values(resize_space(space, size))
    except InputError as error:
        raise _fault(
            space, f"'size' returns {size!r:.80}, which is not what its options are called ({error})"
        ) from error
    wanted = option_values(resized)
    lost = [name for name in wanted if rebuilt.get(name) != wanted[name]]
    if lost:
        raise _fault(
            space,
            f"'scaled' sets {lost[0]}={wanted[lost[0]]!r:.40}, and 'size' returns {size!r:.80}, from which a network "
            f"gets {lost[0]}={rebuilt.get(lost[0])!r:.40}",
        )


def _fault(space: SearchSpace, what: str) -> InputError:
    return InputError(
        f"The space {quote(space.name)} cannot build its networks again: {what}. Its author has to return from 'size' "
        f"every option that 'scaled' changes."
    )
