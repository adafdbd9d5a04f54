"""How networks are validated, by held-out images or by cross-validation, and what their trainings have recorded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import stdev
from typing import Any

import attrs

from nasplug.data import Fold
from nasplug.data.splits import check_folds
from nasplug.errors import InputError
from nasplug.parts import Errors
from nasplug.runs.context import RunContext
from nasplug.store.run_folder import RunFolder


@attrs.frozen
class Validation:
    """How well a network does on images that were held out from its training; errors are from 0 to 1."""

    error: float
    balanced_error: float | None = None
    """The mean of the errors by class; None: not recorded."""
    standard_error: float | None = None
    """Of the error of a cross-validation; None: there were no folds.

    It is estimated from how much the errors of the folds differ, as if their trainings were independent (Hastie et al.,
    The Elements of Statistical Learning, section 7.10). They share images, so it is rather too low (Bengio and
    Grandvalet, No Unbiased Estimator of the Variance of K-Fold Cross-Validation, JMLR 2004).
    """

    def chosen_by(self, by: str) -> float:
        """The error that decides: "error" or "balanced"."""
        if by == "error":
            return self.error
        if self.balanced_error is None:
            raise InputError(
                "Networks are to be chosen by the balanced validation error (select.by=balanced), but one of them was "
                "trained by a version of nasplug that recorded none; set select.by=error."
            )
        return self.balanced_error


def fold_phase(phase: str, fold: Fold) -> str:
    """The phase that does what `phase` does without one fold, and validates on it."""
    return f"folds/{fold}/{phase}"


def record_validation(errors: Errors | None) -> dict[str, Any]:
    """What a training records of its validation; `errors` is None where nothing was held out.

    The counts are those of `Errors`, under the names that they have for classes.
    """
    if errors is None:
        return {"val_error": None}
    counts = {"wrong": list(errors.wrong), "images": list(errors.total)}
    return {"val_error": errors.rate, "balanced_val_error": errors.balanced, "val_counts": counts}


def read_validation(folder: RunFolder, phase: str, folds: int) -> Validation | None:
    """What is recorded of the network that `phase` trains; None before all of its trainings are finished.

    None, too, if it was trained without validation images. With `folds`, all of them count as one validation.
    """
    if not folds:
        record = folder.done(phase)
        if record is None or record["val_error"] is None:
            return None
        return Validation(record["val_error"], record.get("balanced_val_error"))
    records = [folder.done(fold_phase(phase, fold)) for fold in Fold.all(folds)]
    parts = [_read_errors(record) for record in records if record is not None]
    if len(parts) < folds:
        return None
    errors = Errors.pooled(parts)
    deviation = stdev(part.rate for part in parts)
    return Validation(errors.rate, errors.balanced, deviation / math.sqrt(folds))


def count_diverged(folder: RunFolder, phases: Iterable[str]) -> int:
    """How many of the trainings of these phases diverged, and so count as the worst."""
    return sum("diverged" in (folder.done(phase) or {}) for phase in phases)


def refuse_validation(context: RunContext) -> None:
    """Raises InputError if networks cannot be validated or chosen as the recipe asks."""
    recipe = context.recipe
    folds, by = recipe.data.folds, recipe.select.by
    if folds:
        if recipe.run.table:
            raise InputError(
                f"Cross-validation (data.folds={folds}) trains each network several times, and --table looks networks "
                f"up instead of training them; leave --table out, or set data.folds=0."
            )
        if recipe.select.share_weights:
            raise InputError(
                f"select.share_weights has candidates start from weights of the supernet, which have learnt from "
                f"images that a cross-validation (data.folds={folds}) holds out; set select.share_weights=false, or "
                f"data.folds=0."
            )
        check_folds(context.data, context.splits, folds)
    if by == "balanced" and (recipe.run.table or len(context.splits.validation) == 0):
        found = "a table has no errors by class" if recipe.run.table else "this run holds out no validation images"
        raise InputError(
            f"select.by=balanced chooses networks by the mean of their validation errors by class, but {found}; set "
            f"select.by=error."
        )


def _read_errors(record: Mapping[str, Any]) -> Errors:
    counts = record["val_counts"]
    return Errors(tuple(counts["wrong"]), tuple(counts["images"]))
