"""What supernets are built from and judged by.

Depthwise and 1x1 convolutions, and batch norm of many candidates at once; the rating of paths through a trained
supernet, and the exact choice among rated ones.
"""

from __future__ import annotations

from nasplug.supernets.convolution import depthwise, pointwise
from nasplug.supernets.normalise import Norm, batch_norm, recalibrate
from nasplug.supernets.pareto import Candidates, Combination, pareto_trail
from nasplug.supernets.rating import PathRating

__all__ = [
    "Candidates",
    "Combination",
    "Norm",
    "PathRating",
    "batch_norm",
    "depthwise",
    "pareto_trail",
    "pointwise",
    "recalibrate",
]
