"""A run: an ordered list of phases in a folder."""

from __future__ import annotations

from nasplug.phases.asking import recipe_for
from nasplug.phases.folder import RunFolder
from nasplug.phases.foreseeing import Foreseen, foresee
from nasplug.phases.journal import keep_phases
from nasplug.phases.journey import journey, redraw
from nasplug.phases.live import Search, begin, go_on, open_result
from nasplug.phases.loading import Result, TrainedNetwork, load
from nasplug.phases.looking_up import adopt_table
from nasplug.phases.starting import start
from nasplug.phases.stopping import Signals
from nasplug.phases.study import Study, find_device, reopen_study

__all__ = [
    "Foreseen",
    "Result",
    "RunFolder",
    "Search",
    "Signals",
    "Study",
    "TrainedNetwork",
    "adopt_table",
    "begin",
    "find_device",
    "foresee",
    "go_on",
    "journey",
    "keep_phases",
    "load",
    "open_result",
    "recipe_for",
    "redraw",
    "reopen_study",
    "start",
]
