"""What supernets are built from, and how their paths are rated and selected.

Depthwise and 1x1 convolutions and batch norm of many candidates at once; the rating of paths through a trained
supernet, the exact Pareto front of combinations of rated paths, and the maps at which networks are compared. Spaces
that are a table of choices, and spaces from a network of one's own.
"""

from __future__ import annotations

from nasplug.supernets.choice_network import ChoiceNetwork, ChoiceSupernet
from nasplug.supernets.choice_space import ChoiceSpace, Pick
from nasplug.supernets.choice_table import ChoiceTable
from nasplug.supernets.choose import Choose
from nasplug.supernets.computed_weights import ComputedWeights
from nasplug.supernets.convolution import depthwise, pointwise
from nasplug.supernets.drop_path import drop_path, drop_path_mask
from nasplug.supernets.module_space import ModuleSpace
from nasplug.supernets.normalise import Norm, affine_batch_norm, batch_norm, recalibrate
from nasplug.supernets.pareto import Candidates, Combination, least_costs, pareto_front
from nasplug.supernets.path_weights import take_path_weights
from nasplug.supernets.rating import PathRating
from nasplug.supernets.tap_shapes import tap_shapes

__all__ = [
    "Candidates",
    "ChoiceNetwork",
    "ChoiceSpace",
    "ChoiceSupernet",
    "ChoiceTable",
    "Choose",
    "Combination",
    "ComputedWeights",
    "ModuleSpace",
    "Norm",
    "PathRating",
    "Pick",
    "affine_batch_norm",
    "batch_norm",
    "depthwise",
    "drop_path",
    "drop_path_mask",
    "least_costs",
    "pareto_front",
    "pointwise",
    "recalibrate",
    "take_path_weights",
    "tap_shapes",
]
