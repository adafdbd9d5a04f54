"""The abstract parts of a search and the values that pass between them: what the author of a plugin derives from.

A part is an attrs class: fields with `init=True` are its options, fields with `init=False` its state, which every
checkpoint saves. Parts meet only in `Choices`, `Stage` and `StepInfo`; no part holds another part.
"""

from __future__ import annotations

from nasplug.parts.answer_layer import AnswerLayer
from nasplug.parts.batch import Batch
from nasplug.parts.block import Block, Layer
from nasplug.parts.choice import Choice, Choices, softmax
from nasplug.parts.classification import Classification
from nasplug.parts.cost import CostMeasure, Measurement
from nasplug.parts.cost_model import CostModel
from nasplug.parts.dataset import DataSource, EncodedImage, ImageData, Images
from nasplug.parts.executor import TrainingExecutor, Workload
from nasplug.parts.graph_key import key_of
from nasplug.parts.layer_spec import LayerSpec
from nasplug.parts.multi_label import MultiLabel
from nasplug.parts.network import Network, Outputs, Supernet
from nasplug.parts.optimizer import ArchitectureOptimizer, Objective, TorchOptimizers
from nasplug.parts.paths import Paths
from nasplug.parts.random_boxes import RandomBoxes
from nasplug.parts.rating import LabelRater, Rater
from nasplug.parts.reference import ReferenceNetwork
from nasplug.parts.regression import Regression
from nasplug.parts.schedule import PruningSchedule, supernet_spaces
from nasplug.parts.search_state import FurtherWork, SearchState
from nasplug.parts.selector import Selector
from nasplug.parts.skip_dropout import SkipDropout
from nasplug.parts.space import SearchSpace
from nasplug.parts.stage import Stage
from nasplug.parts.state import read_state, write_state
from nasplug.parts.task import Errors, Task
from nasplug.parts.teacher import DistillationTeacher
from nasplug.parts.transfer import send
from nasplug.parts.weights_file import read_weights
from nasplug.values.options import option
from nasplug.values.worker import WorkerLost

__all__ = [
    "AnswerLayer",
    "ArchitectureOptimizer",
    "Batch",
    "Block",
    "Choice",
    "Choices",
    "Classification",
    "CostMeasure",
    "CostModel",
    "DataSource",
    "DistillationTeacher",
    "EncodedImage",
    "Errors",
    "FurtherWork",
    "ImageData",
    "Images",
    "LabelRater",
    "Layer",
    "LayerSpec",
    "Measurement",
    "MultiLabel",
    "Network",
    "Objective",
    "Outputs",
    "Paths",
    "PruningSchedule",
    "RandomBoxes",
    "Rater",
    "ReferenceNetwork",
    "Regression",
    "SearchSpace",
    "SearchState",
    "Selector",
    "SkipDropout",
    "Stage",
    "Supernet",
    "Task",
    "TorchOptimizers",
    "TrainingExecutor",
    "WorkerLost",
    "Workload",
    "key_of",
    "option",
    "read_state",
    "read_weights",
    "send",
    "softmax",
    "supernet_spaces",
    "write_state",
]
