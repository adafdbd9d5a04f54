"""What the trainings of a cross-validation have recorded, and what is refused."""

from __future__ import annotations

from statistics import stdev
from types import SimpleNamespace

import numpy as np
import pytest

from nasplug.data import Fold, Splits
from nasplug.errors import InputError
from nasplug.parts import Errors
from nasplug.parts.classification import CLASSIFICATION
from nasplug.runs.bracket import Bracket, Candidate
from nasplug.runs.distillation import Distillation
from nasplug.runs.halving import plan_rungs
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.validation import Validation, fold_phase, read_validation, record_validation, refuse_validation
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Costs, Genotype
from nasplug.values.recipe import DataOptions


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run")


def plan(name="a"):
    return PlannedNetwork("found", Genotype("x", {"a": [name]}), {"cells": 1}, Costs(params=10, macs=1))


def test_without_folds_the_validation_is_what_the_training_has_recorded(folder):
    assert read_validation(folder, "retrain/x", 0) is None
    folder.finish("retrain/x", record_validation(Errors((1, 1), (8, 2))))
    assert read_validation(folder, "retrain/x", 0) == Validation(0.2, (1 / 8 + 1 / 2) / 2)
    folder.finish("retrain/y", {"val_error": 0.25})  # as earlier versions, and tables
    validation = read_validation(folder, "retrain/y", 0)
    assert validation == Validation(0.25)
    assert validation.chosen_by("error") == 0.25
    with pytest.raises(InputError, match=r"set select\.by=error"):
        validation.chosen_by("balanced")
    folder.finish("retrain/z", record_validation(None))
    assert read_validation(folder, "retrain/z", 0) is None


def test_folds_are_pooled_when_all_of_them_are_finished(folder):
    parts = [Errors((1, 0), (3, 1)), Errors((0, 1), (3, 1)), Errors((0, 0), (2, 1))]
    for fold, errors in zip(Fold.all(3), parts, strict=True):
        assert read_validation(folder, "retrain/x", 3) is None
        folder.finish(fold_phase("retrain/x", fold), record_validation(errors))
    validation = read_validation(folder, "retrain/x", 3)
    assert validation.error == 2 / 11
    assert validation.balanced_error == (1 / 8 + 1 / 3) / 2
    assert validation.standard_error == pytest.approx(stdev([1 / 4, 1 / 4, 0]) / 3**0.5)
    assert (validation.chosen_by("error"), validation.chosen_by("balanced")) == (2 / 11, (1 / 8 + 1 / 3) / 2)
    assert read_validation(folder, "retrain/x", 2) is None  # other folds


def test_a_task_becomes_one_for_each_fold_that_keeps_nothing():
    task = TrainingTask(plan(), "retrain/x", 7, keeps_weights=True)
    assert task.over_folds(0) == [task]
    tasks = task.over_folds(3)
    assert [each.phase for each in tasks] == [f"folds/{number}-of-3/retrain/x" for number in (1, 2, 3)]
    assert [each.fold for each in tasks] == Fold.all(3)
    assert all((each.plan, each.epochs, each.keeps_weights) == (task.plan, 7, False) for each in tasks)
    assert [TrainingTask.from_dict(each.to_dict()) for each in (task, *tasks)] == [task, *tasks]


def test_a_bracket_decides_by_all_folds_and_by_the_balanced_error_if_asked(folder):
    names = "abcd"
    candidates = tuple(Candidate(plan(name), "search") for name in names)
    bracket = Bracket("found", {}, candidates, plan_rungs(4, 1, 8, 0.5), folds=2, by="balanced")
    assert Bracket.from_dict(bracket.to_dict()) == bracket
    wrong = {"a": ((0, 2), (0, 1)), "b": ((3, 0), (4, 0)), "c": ((0, 2), (0, 2)), "d": ((6, 0), (6, 0))}
    tasks = bracket.next_tasks(folder)
    assert len(tasks) == 8
    assert all(task.phase.startswith(f"folds/{task.fold}/tournament/1/") for task in tasks)
    for task in tasks:
        name = task.plan.genotype.picks[0][1][0]
        errors = Errors(wrong[name][task.fold.number], (10, 2))
        folder.finish(task.phase, record_validation(errors))
    results, left = bracket.finished_rungs(folder)
    balanced = {"a": 3 / 8, "b": 7 / 40, "c": 1 / 2, "d": 12 / 40}
    assert [standing.val_error for standing in results[0].ranking] == pytest.approx(sorted(balanced.values()))
    assert [each.plan.genotype.picks[0][1][0] for each in left] == ["b", "d"]
    assert len(bracket.phases(folder)) == 8 + 4
    by_error = Bracket("found", {}, candidates, bracket.rungs, folds=2)
    assert [each.plan.genotype.picks[0][1][0] for each in by_error.finished_rungs(folder)[1]] == ["a", "c"]


def context(table="", folds=0, by="error", validation=3, share_weights=False):
    labels = np.arange(12) % 2
    images = SimpleNamespace(labels=labels)
    return SimpleNamespace(
        recipe=SimpleNamespace(
            run=SimpleNamespace(table=table),
            data=SimpleNamespace(folds=folds),
            select=SimpleNamespace(by=by, share_weights=share_weights),
        ),
        data=SimpleNamespace(name="toy", classes=("a", "b"), train=images, task=CLASSIFICATION),
        splits=Splits(np.arange(validation, 10), np.arange(validation), np.arange(10, 12), "train"),
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"table": "x.csv", "folds": 5}, r"--table looks networks up .* set data\.folds=0"),
        ({"folds": 5, "share_weights": True}, r"have learnt from images .* set select\.share_weights=false"),
        ({"folds": 6}, r"data\.folds=6 is too much for the 10 images"),
        ({"table": "x.csv", "by": "balanced"}, r"a table has no errors by class; set select\.by=error"),
        ({"validation": 0, "by": "balanced"}, r"holds out no validation images; set select\.by=error"),
    ],
)
def test_validations_that_cannot_be_had_are_refused(asked, words):
    with pytest.raises(InputError, match=words):
        refuse_validation(context(**asked))
    refuse_validation(context(folds=5, by="balanced"))


@pytest.mark.parametrize(
    ("options", "words"), [({"folds": 1}, "at least 2, such as 5"), ({"folds": 5, "validation": 0}, "leave out one")]
)
def test_folds_that_contradict_themselves_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        DataOptions(**options)


def test_a_teacher_that_knows_the_folds_is_said_to():
    said = Distillation(0.5, 4.0, "", 0.25, seen=38, folds=5).describe()
    assert "trained on 38 of the images that this run holds out, for the test or in one of 5 folds" in said
    assert "cross-validated errors may be lower" in said


def test_a_bracket_of_an_earlier_version_has_no_folds():
    bracket = Bracket("found", {}, (Candidate(plan(), "search"),), ())
    data = bracket.to_dict()
    del data["folds"], data["by"]
    assert Bracket.from_dict(data) == bracket
