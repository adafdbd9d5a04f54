"""The teacher's network of a run, and what stand-alone networks learn from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from nasplug.engine.assembly import place_network
from nasplug.engine.converted_input import convert_input
from nasplug.errors import InputError, quote
from nasplug.parts import Network, Supernet
from nasplug.runs.context import RunContext
from nasplug.runs.teacher_taps import tap_as
from nasplug.store.networks import load_network, recorded_shape


@attrs.frozen
class Distillation:
    """How the stand-alone networks of a run learn from a teacher's network."""

    weight: float
    """The share of the loss, above 0 and at most 1."""
    temperature: float
    teacher: str
    """Where its network is from: what `run.teacher_from` names; empty: the run has trained it."""
    teacher_error: float | None
    """Its validation error in the run that has trained it, from 0 to 1; None: unknown, or not trained yet."""
    seen: int = 0
    """Images held out by this run that the teacher was trained on, as far as is known."""
    folds: int = 0
    """Folds that are held out one after the other; the images in them count as held out."""
    fine_tuned: bool = False
    """Whether the run fine-tunes it, which is a pretrained one then."""

    @classmethod
    def of(cls, context: RunContext) -> Distillation | None:
        """That of a run; None: its networks learn from labels alone."""
        options = context.recipe.retrain
        if options.distil == 0:
            return None
        record = context.folder.done("teacher") or {}
        source, folds = context.recipe.run.teacher_from, context.recipe.data.folds
        fine_tuned, seen = bool(source) and "from" not in record, record.get("seen", 0)
        if folds and (fine_tuned or not source):  # it is trained on the training split, which later folds hold out
            seen = len(context.splits.train)
        return cls(
            weight=options.distil,
            temperature=options.distil_temperature,
            teacher=source,
            teacher_error=record.get("val_error"),
            seen=seen,
            folds=folds,
            fine_tuned=fine_tuned,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in `result.json`."""
        return {
            "weight": self.weight,
            "temperature": self.temperature,
            "teacher": {"from": self.teacher or None, "val_error": self.teacher_error, "seen": self.seen},
        }

    def describe(self) -> str:
        """In words: one sentence, and another where the teacher knows images that it should not."""
        teacher = f"that of {quote(self.teacher)}" if self.teacher else "trained before the search"
        teacher += ", fine-tuned on these classes" if self.fine_tuned else ""
        error = "" if self.teacher_error is None else f", validation error {100 * self.teacher_error:.2f} %"
        warning = (
            f" The teacher was trained on {self.seen:,} of the images that this run holds out, so errors may be lower "
            f"than on new images; one from a run of the same data, seed and shares would not know them."
        )
        if self.folds:
            warning = (
                f" The teacher was trained on {self.seen:,} of the images that this run holds out, for the test or in "
                f"one of {self.folds} folds, so cross-validated errors may be lower than on new images."
            )
        return (
            f"Networks that are trained from scratch here learn from the logits of a teacher's network ({teacher}"
            f"{error}) at temperature {self.temperature:g}: {100 * self.weight:g} % of their loss, "
            f"{100 * (1 - self.weight):g} % is that of the labels.{warning if self.seen else ''}"
        )


def load_search_teacher(context: RunContext, student: Supernet) -> Network | None:
    """The network that the search learns from, in eval mode on the device of the run.

    One that is no network of a search space has its taps where its maps are as large as those of `student`. In place of
    a pretrained one that has yet to be fine-tuned stands that. None if the search needs none, or there is none yet.
    Raises InputError if it has no such maps.
    """
    paths = [path for path in (context.folder.teacher, context.folder.pretrained_teacher) if path.exists()]
    if context.teacher() is None or not paths:
        return None
    return _load(context, paths[0], student)


def retraining_teacher(context: RunContext) -> Network | None:
    """The network whose logits stand-alone networks learn from, for images normalised as in this run.

    None: they learn from labels alone. Raises InputError if the recipe asks for such a network and there is none.
    """
    if context.recipe.retrain.distil == 0:
        return None
    if not context.folder.teacher.exists():
        raise _missing_teacher(context)
    return _load(context, context.folder.teacher)


def _load(context: RunContext, path: Path, student: Supernet | None = None) -> Network:
    """A network in this file for the images of the run, with the taps of `student` if it has none of the space's."""
    net, facts = load_network(path, context.plugins)
    if student is not None and "reference" in facts:
        net = tap_as(net, student, context.shape)
    return place_network(convert_input(net, context.shape, recorded_shape(facts)), context.device)


def refuse_missing_teacher(context: RunContext) -> None:
    """Raises InputError if stand-alone networks are to learn from a network that this run will not have.

    One that the run trains before its search, or has yet to fine-tune, need not be there yet.
    """
    if context.recipe.retrain.distil == 0 or context.folder.pretrained_teacher.exists():
        return
    if context.folder.done("search") is not None or context.teacher() is None:
        retraining_teacher(context)


def _missing_teacher(context: RunContext) -> InputError:
    asked = f"retrain.distil={context.recipe.retrain.distil:g} has networks learn from the logits of a trained network"
    remedy = (
        "Name one that was trained on such images, with --teacher-from RUN_OR_FILE (where there is no such flag, --set "
        "run.teacher_from=RUN_OR_FILE), a pretrained one, such as timm:resnet18, or set retrain.distil=0."
    )
    if context.teacher() is not None:
        return InputError(f"{asked}, but '{context.folder.teacher}' is gone; restore it from a copy of the run.")
    name = context.recipe.parts["teacher"].name
    if context.composition.teacher.distils:
        return InputError(
            f"{asked}, but the teacher '{name}', as it is set, trains none that has logits for the classes of "
            f"'{context.data.name}'. {remedy}"
        )
    return InputError(f"{asked}, but the run has none, since its teacher is '{name}'. {remedy}")
