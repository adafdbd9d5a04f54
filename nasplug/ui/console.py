"""The console of everything that is shown with rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from nasplug.errors import printable


class PrintableConsole(Console):
    """A console on which names of files, classes and data sets are text and nothing else.

    Control characters are shown as escapes, square brackets are no markup, and numbers are not coloured.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **settings})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with the text of every segment made printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
