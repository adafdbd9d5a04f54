"""A teacher's network that another run has trained (`run.teacher_from`), for the search or for retrainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasplug.data import load_splits
from nasplug.errors import InputError, command
from nasplug.parts.recorded_task import read_task
from nasplug.runs.context import RunContext
from nasplug.runs.data import read_data_record
from nasplug.store.files import write_atomically
from nasplug.store.networks import load_network
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder


def borrow_teacher(context: RunContext, source: Path) -> None:
    """Copies the network of a run or weights file into the run, so that the run stands on its own.

    Of a run it takes the teacher, if it has one, else its best network. InputError if there is neither, or if it was
    trained on other images or has weights that are not finite.
    """
    path, recorded = _find_network(context, source)
    facts = load_network(path, context.plugins)[1]
    trained_on, needed = facts["data"], context.preprocessing()
    for key in ("classes", "channels", "size"):
        if trained_on[key] != needed[key]:
            raise InputError(
                f"The teacher '{source}' was trained for {key} {trained_on[key]}, but '{context.data.name}' has "
                f"{needed[key]}; name a network trained on such images."
            )
    if (theirs := read_task(trained_on)) != context.task:
        found = theirs.name if theirs.name != context.task.name else f"{theirs.name} of other values"
        raise InputError(
            f"The teacher '{source}' was trained for the task {found}, and that of '{context.data.name}' is "
            f"{context.task.name}; name a network trained on such images."
        )
    write_atomically(context.folder.teacher, path.read_bytes())
    context.folder.finish("teacher", {"from": str(source), **recorded})


def _find_network(context: RunContext, source: Path) -> tuple[Path, dict[str, Any]]:
    """The weights file that is meant, and what its run has on record: `val_error`, and `seen` as in `Distillation`."""
    if source.is_file():
        return source, _read_record(context, source.absolute())
    if not source.exists():
        raise InputError(
            f"There is no '{source}'; --teacher-from takes the folder of a run, a weights file, or the name of a "
            f"pretrained network, such as timm:resnet18 or torchvision:resnet18."
        )
    folder = RunFolder.existing(source)
    if folder.teacher.is_file():
        record = folder.done("teacher") or {"from": None}
        seen = {} if "from" in record else _count_seen(context, folder)
        return folder.teacher, {"val_error": record.get("val_error"), **seen}
    result = read_result(source)
    best = result.network(result.best)
    if best is None:
        raise InputError(f"The run '{source}' has no trained network yet; finish it: {command('resume', source)}")
    if not folder.weights(best.id).is_file():
        raise InputError(f"The best network of '{source}', {best.id}, has no weights; name a weights file of the run.")
    return folder.weights(best.id), _read_record(context, folder.weights(best.id))


def _read_record(context: RunContext, weights: Path) -> dict[str, Any]:
    """The same for a weights file; empty where it does not lie in a run."""
    folder = RunFolder(weights.parent.parent)
    if weights != folder.weights(weights.stem):
        return {}
    try:
        network = read_result(folder.path).network(weights.stem)
        return {} if network is None else {"val_error": network.val_error, **_count_seen(context, folder)}
    except InputError:  # the weights are all that is needed of that run
        return {}


def _count_seen(context: RunContext, folder: RunFolder) -> dict[str, int]:
    """How many of the images that the run holds out the networks of another one were trained on, where that is known.

    Images that are in the training split of the run as well are not counted, unless folds hold them out in turn.
    """
    theirs, ours, splits = read_data_record(folder), context.record, context.splits
    if theirs is None or ours is None:
        return {}
    held_out = {*ours.members(splits, "validation"), *ours.members(splits, "test")}
    if context.recipe.data.folds:
        held_out |= {*ours.members(splits, "train")}
    else:
        held_out -= {*ours.members(splits, "train")}
    return {"seen": len(held_out & {*theirs.members(load_splits(folder.splits), "train")})}
