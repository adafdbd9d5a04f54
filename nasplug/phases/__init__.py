"""A run: an ordered list of phases in a folder."""

from __future__ import annotations

from nasplug.phases.folder import RunFolder
from nasplug.phases.foreseeing import Foreseen, foresee
from nasplug.phases.journal import keep_phases
from nasplug.phases.journey import journey, redraw
from nasplug.phases.loading import Result, TrainedNetwork, load
from nasplug.phases.looking_up import adopt_table
from nasplug.phases.starting import start
from nasplug.phases.study import Study, find_device, reopen_study

__all__ = [
    "Foreseen",
    "Result",
    "RunFolder",
    "Study",
    "TrainedNetwork",
    "adopt_table",
    "find_device",
    "foresee",
    "journey",
    "keep_phases",
    "load",
    "redraw",
    "reopen_study",
    "start",
]
