"""Spaces whose genotypes say all widths, which their networks have in proportion to the option `channels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import attrs

from nasplug.errors import InputError
from nasplug.parts import SearchSpace, option

SIXTEENTHS = 16
"""Steps from one number of channels to the next."""


def sixteenths_option() -> Any:
    """The option `sixteenths` of such a space."""
    return option(
        0,
        "sixteenths of a channel beyond 'channels': a finer scale, by which networks make better use of a budget",
        at_least=0,
        at_most=SIXTEENTHS - 1,
    )


class ScaledWidths(SearchSpace):
    """Sizes of a space with the options `channels`, `sixteenths` and `stem`; its depth belongs to the genotype."""

    depth_option: ClassVar[str]
    """The option that says how deep networks are, such as "space.stages"."""
    channels: int
    sixteenths: int
    stem: str

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space with networks of other widths; their depth belongs to the genotype."""
        if cells is not None:
            raise InputError(
                f"The depth of networks of the space '{self.name}' is part of the genotype, so {cells} cells cannot be "
                f"asked for; leave the number of cells unset and choose the depth by {self.depth_option}."
            )
        return self if channels is None else self._resized(channels, 0)

    def wider(self) -> Sequence[Self]:
        """One space for each further sixteenth of a channel."""
        return [self._resized(self.channels, number) for number in range(self.sixteenths + 1, SIXTEENTHS)]

    def size(self) -> dict[str, int | str]:
        """Channels, their sixteenths where there are any, and stem."""
        sixteenths = {"sixteenths": self.sixteenths} if self.sixteenths else {}
        return {"channels": self.channels, **sixteenths, "stem": self.stem}

    def _resized(self, channels: int, sixteenths: int) -> Self:
        changes: dict[str, Any] = {"channels": channels, "sixteenths": sixteenths}
        resized: Self = attrs.evolve(self, **changes)  # type: ignore[misc]  # subclasses are attrs classes
        return resized
