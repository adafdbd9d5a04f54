"""Values of the command line: kinds that click lacks, limits of sizes, and how much of a value a message quotes."""

from __future__ import annotations

import math
from typing import Any

import click

from nasplug.errors import quote, shorten_words

LARGEST_SIDE = 65_536
"""Pixels of a side of an image, where no data set says it."""
MOST_CLASSES = 1_000_000
LONGEST_MESSAGE = 600
"""Letters of a message of click from which on its middle is left out."""
ENDS = 110
"""Letters that are left of its beginning, which names the parameter, and of its end, which says what is wrong."""


class Share(click.FloatRange):
    """A number in a range. Not a number is in none, which click takes for being in every one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does."""
        if isinstance(number := super().convert(value, param, ctx), float) and math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def shorten_message(message: str) -> str:
    """A message of click, which quotes whole arguments, with their words cut short and no letter unprintable."""
    shortened = shorten_words(message)
    if len(shortened) > LONGEST_MESSAGE:  # what was given comes first, the choices and bounds come last
        shortened = f"{shortened[:ENDS]} ... {shortened[-ENDS:]}"
    return "".join(letter if letter.isprintable() or letter == "\n" else quote(letter)[1:-1] for letter in shortened)
