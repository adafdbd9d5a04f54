"""The teacher's network that a recipe names (`run.teacher_from`): one of another run, or a pretrained one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.errors import InputError, quote
from nasplug.runs.borrowed_teacher import borrow_teacher
from nasplug.runs.context import RunContext
from nasplug.runs.pretrained_teacher import adopt_pretrained, is_pretrained
from nasplug.values.options import option_values
from nasplug.values.recipe import RunOptions

OPTIONS = ("teacher_from", "teacher_weights", "teacher_resolution", "teacher_epochs", "teacher_lr")
"""The options of the section `run` that decide which network it is."""


def provide_teacher(context: RunContext) -> None:
    """Keeps the network that `run.teacher_from` names in the run, if it names one.

    InputError if it cannot be had or fits neither the run nor its images, if nothing learns from a teacher's network,
    and for options of pretrained networks where it is none.
    """
    asked = _teacher_options(option_values(context.recipe.run))
    source = context.recipe.run.teacher_from
    pretrained = bool(source) and is_pretrained(context.plugins, source)
    ignored = next((name for name in OPTIONS[1:] if asked[name] != _teacher_options({})[name]), None)
    if ignored is not None and not pretrained:
        found = f"run.teacher_from names {quote(source)}" if source else "none is named"
        raise InputError(
            f"run.{ignored} is meant for a pretrained network as teacher, but {found}; name one, such as "
            f"--teacher-from timm:resnet18, or leave the option out."
        )
    if not source:
        return
    if context.teacher() is None and context.recipe.retrain.distil == 0:
        name = context.recipe.parts["teacher"].name
        raise InputError(
            f"--teacher-from names a network, but the teacher '{name}' uses none; try --teacher features, or have the "
            f"retraining learn from it: --set retrain.distil=0.5."
        )
    if pretrained:
        adopt_pretrained(context)
    else:
        borrow_teacher(context, Path(source))


def replace_teacher(context: RunContext, before: Mapping[str, Any]) -> None:
    """Provides the network that the recipe names in place of the one before, for a run that only retrains.

    `before` is the section `run` of the earlier run. InputError if the search has learnt from a teacher's network,
    which is the teacher of the retraining then.
    """
    if _teacher_options(option_values(context.recipe.run)) == _teacher_options(before):
        return
    if context.teacher() is not None:
        raise InputError(
            f"run.teacher_from names another teacher, but the search has learnt from the network of its teacher "
            f"'{context.recipe.parts['teacher'].name}', which 'nasplug retrain' keeps; leave it out, and with "
            f"retrain.distil networks learn from that one."
        )
    shutil.rmtree(context.folder.phase("teacher"), ignore_errors=True)
    provide_teacher(context)


def _teacher_options(run: Mapping[str, Any]) -> dict[str, Any]:
    known = {**option_values(RunOptions()), **run}  # an option that is unset is in neither
    return {name: known.get(name) for name in OPTIONS}
