"""Figures of a search that progress and reports show."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Figure:
    """One measure of the step events, declared by the part that writes it.

    Progress lines and the charts of a report are made from this, so that neither knows any part by name.
    """

    name: str
    """Its name among the measures of a verdict, and in `events.jsonl`."""
    label: str
    """What its axis says."""
    unit: str = ""
    """Its unit, for the axis; empty for a plain number."""
    scale: Literal["linear", "log"] = attrs.field(default="linear", validator=attrs.validators.in_(("linear", "log")))
    """The scale of its axis; a log scale leaves out values that are not positive."""
    progress: str | None = None
    """How a progress line states its value, as a format such as "{:.0f} operations alive"; None: not at all."""
