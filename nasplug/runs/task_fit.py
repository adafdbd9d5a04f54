"""Whether the parts and options of a run go with the task of its data set."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.compose import Composition
from nasplug.errors import InputError
from nasplug.parts import ImageData, Task
from nasplug.parts.recorded_task import TASKS
from nasplug.plugins import Plugins

SLOTS = ("optimizer", "teacher", "selector")
"""Those whose parts can be for some tasks alone."""


def check_task(plugins: Plugins, composition: Composition, data: ImageData) -> None:
    """Raises InputError if targets have not the form of their task, or if a part or an option is not for this task."""
    task, recipe = data.task, composition.recipe
    if TASKS.get(task.name) is not type(task):
        raise InputError(
            f"The data set '{data.name}' names a task of the class {type(task).__name__}, which files of a run cannot "
            f"name; known: {', '.join(sorted(TASKS))}."
        )
    for images, what in ((data.train, "labels"), (data.test, "labels of test images")):
        if images is not None:
            task.check(images.labels, data.classes, f"The {what} of data set '{data.name}'")
    for slot in SLOTS:
        part = getattr(composition, slot)
        if part.tasks is not None and task.name not in part.tasks:
            raise InputError(
                f"The {slot} '{recipe.parts[slot].name}' is for the task {' and '.join(sorted(part.tasks))}, but that "
                f"of the data set '{data.name}' is {task.name}. Those that fit: {_list_fitting(plugins, slot, task)}."
            )
    if task.has_classes:
        return
    for section in ("search", "retrain"):
        if (balance := getattr(recipe, section).balance) != "none":
            raise InputError(
                f"{section}.balance={balance} makes up for classes of unequal size, and the task of the data set "
                f"'{data.name}', {task.name}, has none; set {section}.balance=none."
            )
    if recipe.select.by == "balanced":
        raise InputError(
            f"select.by=balanced chooses networks by the mean of their errors by class, and the task of the data set "
            f"'{data.name}', {task.name}, has no classes; set select.by=error."
        )
    if recipe.run.table:
        raise InputError(
            f"--table looks errors of classes up, and the task of the data set '{data.name}' is {task.name}; leave "
            f"--table out, so that networks are trained."
        )


def describe_task(composition: Composition, task: Task) -> Sequence[str]:
    """What a user should know of a task that is no classification."""
    if task.has_classes:
        return []
    notes = [f"The task is {task.name}: an error is {task.error}."]
    if composition.recipe.retrain.label_smoothing and not task.smooths:
        notes.append(f"Targets of a {task.name} are not smoothed: retrain.label_smoothing has no effect.")
    return notes


def _list_fitting(plugins: Plugins, slot: str, task: Task) -> str:
    fitting = set()
    for registration in plugins.registrations:
        if registration.slot == slot:
            tasks = plugins.resolve(registration).tasks
            if tasks is None or task.name in tasks:
                fitting.add(registration.name)
    return ", ".join(sorted(fitting)) or "none"
