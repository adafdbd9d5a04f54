"""Frozen values that pass between parts; none of them imports torch."""

from __future__ import annotations

from nasplug.values.clock import StepClock, StepInfo
from nasplug.values.cost import Budget, Costs, describe_costs, is_within, share_of
from nasplug.values.drawing import Drawing, Edge
from nasplug.values.events import Evaluated, Event, Found, Rated, SearchWarning, Step
from nasplug.values.figure import Figure
from nasplug.values.genotype import Genotype
from nasplug.values.known_result import KnownResult
from nasplug.values.method import Method
from nasplug.values.progress import Progress
from nasplug.values.quantity import Unit
from nasplug.values.shape import ImageShape, MapShape, sides
from nasplug.values.training import Training
from nasplug.values.update import Update
from nasplug.values.verdict import Verdict

__all__ = [
    "Budget",
    "Costs",
    "Drawing",
    "Edge",
    "Evaluated",
    "Event",
    "Figure",
    "Found",
    "Genotype",
    "ImageShape",
    "KnownResult",
    "MapShape",
    "Method",
    "Progress",
    "Rated",
    "SearchWarning",
    "Step",
    "StepClock",
    "StepInfo",
    "Training",
    "Unit",
    "Update",
    "Verdict",
    "describe_costs",
    "is_within",
    "share_of",
    "sides",
]
