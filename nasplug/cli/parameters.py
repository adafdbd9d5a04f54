"""Values of the command line: kinds that click lacks, limits of sizes, and how much of a value a message quotes."""

from __future__ import annotations

import math
import re
from typing import Any

import click

from nasplug.errors import QUOTED, quote

LARGEST_SIDE = 65_536
"""Pixels of a side of an image, where no data set says it."""
MOST_CLASSES = 1_000_000


class Share(click.FloatRange):
    """A number in a range. Not a number is in none, which click takes for being in every one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does."""
        if isinstance(number := super().convert(value, param, ctx), float) and math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def shorten_message(message: str) -> str:
    """A message of click, which quotes whole arguments, with at most QUOTED letters of each and none unprintable."""
    shortened = re.sub(rf"([^\s'\"]{{{QUOTED}}})[^\s'\"]+", r"\1...", message)
    return "".join(letter if letter.isprintable() or letter == "\n" else quote(letter)[1:-1] for letter in shortened)
