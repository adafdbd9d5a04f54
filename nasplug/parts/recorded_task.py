"""Tasks in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.errors import quote
from nasplug.parts.classification import CLASSIFICATION, Classification
from nasplug.parts.multi_label import MultiLabel
from nasplug.parts.regression import Regression
from nasplug.parts.task import Task

TASKS: dict[str, Any] = {task.name: task for task in (Classification, MultiLabel, Regression)}
"""Those that can be recorded, by name."""


def record_task(task: Task) -> dict[str, Any]:
    """The entry `task` of a record; none for a classification, of which files have never said anything."""
    return {} if isinstance(task, Classification) else {"task": task.to_dict()}


def read_task(entries: Mapping[str, Any]) -> Task:
    """The task that `record_task` has written among these entries, of which `classes` are the names of outputs.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    if "task" not in entries:
        return CLASSIFICATION
    fields = dict(entries["task"])
    name = fields.pop("name", None)
    if name not in TASKS:
        raise ValueError(f"there is no task {quote(name)}")
    measured = {field: tuple(map(float, values)) for field, values in fields.items()}
    task: Task = TASKS[name](**measured)
    columns = [values for field, values in task.to_dict().items() if field != "name"]
    if any(len(values) != len(entries["classes"]) for values in columns):
        raise ValueError(f"the task {name} has other outputs than there are names")
    return task
