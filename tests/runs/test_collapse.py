"""Signs of a collapse: when they count, what is said about them, and that looking for them changes nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
import torch

from nasplug.api.user_objects import extract_objects
from nasplug.builtin.nb201.space import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.compose import resolve
from nasplug.engine.plain.keep import Keep
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import add_objects
from nasplug.runs import search_trainer
from nasplug.runs.collapse import CollapseGuard, watch_alpha
from nasplug.runs.context import RunContext
from nasplug.runs.create import start
from nasplug.runs.search import search
from nasplug.runs.summary import write_result
from nasplug.runs.training import Stopped
from nasplug.store.events import Journal, read_events
from nasplug.store.files import read_tensors
from nasplug.values import ImageShape, Verdict

EPOCHS, STEPS = 4, 3
SKIP, CONVOLUTION = "skip_connect", "nor_conv_3x3"


def guard(alpha_decides: bool = True, **sections) -> CollapseGuard:
    plugins = load_plugins()
    layer = {"run": {"method": "darts", "preset": "laptop"}, **sections}
    return CollapseGuard(resolve(plugins, [layer]), alpha_decides)


def read(guard: CollapseGuard, name: str, values, ends: bool = False, every: int = 1):
    """What the guard warns of at the ends of epochs with these values, with the epoch, counted from 1."""
    warnings = []
    for number, value in enumerate(values, 1):
        record = {"step": 7 * every * number, "epoch": every * number - 1, "loss": 0.0, name: value}
        if name == "parameterless_share":
            record["parameterless_expected"] = 0.4
        last = ends and number == len(values)
        warnings += [(warning.epoch + 1, warning) for warning in guard.read(record, last=last)]
    return warnings


def test_a_share_counts_after_three_epochs_in_a_row_and_once():
    found = read(guard(), "parameterless_share", [0.7, 0.7, 0.6, 0.7, 0.7, 0.75, 0.8, 0.1, 0.9, 0.9, 0.9], ends=True)
    ((epoch, warning),) = found
    assert (epoch, warning.sign, warning.value, warning.step) == (6, "parameterless", 0.75, 42)
    assert warning.limit == pytest.approx(0.6)
    assert warning.text.startswith("From epoch 4 to epoch 6, most operations")
    assert "75%; of random picks 40%" in warning.text
    assert "--set search.epochs=3" in warning.text
    assert "--set optimizer.alpha_weight_decay=0.01" in warning.text
    assert "budget.weight" not in warning.text


def test_at_the_end_a_share_counts_at_once():
    assert read(guard(), "parameterless_share", [0.5, 0.7]) == []
    ((epoch, warning),) = read(guard(), "parameterless_share", [0.5, 0.7], ends=True)
    assert epoch == 2
    assert warning.text.startswith("After epoch 2, most operations")


def test_a_share_is_compared_with_random_picks():
    cells = guard()
    record = {"step": 1, "epoch": 0, "parameterless_share": 0.75, "parameterless_expected": 0.6}
    assert cells.read(record, last=True) == []
    ((warning),) = cells.read(record | {"parameterless_share": 0.85}, last=True)
    assert warning.limit == pytest.approx(0.8)


def test_a_budget_that_favours_operations_without_parameters_is_named():
    paid = guard(budget={"params": 5000, "weight": 3.0})
    ((_, warning),) = read(paid, "parameterless_share", [0.9] * 3)
    assert "--set budget.weight=1.5" in warning.text
    assert "search.epochs" not in warning.text  # there is no epoch before the first


def test_eigenvalues_that_grow_are_compared_over_five_epochs():
    """Of values 1 to 10, the means of five are 3 and 8; with 3 more it would be 6 of 8, which is not below 0.75."""
    ((epoch, warning),) = read(guard(), "alpha_eigenvalue", range(1, 11))
    assert (epoch, warning.sign, warning.limit) == (10, "eigenvalue", 0.75)
    assert warning.value == pytest.approx(3 / 8)
    assert "from 3 (mean of epochs 1 to 5) to 8 (epochs 6 to 10)" in warning.text
    assert "--set search.epochs=5 or --set search.weight_decay=0.0009" in warning.text
    assert read(guard(), "alpha_eigenvalue", [6.0] * 5 + [8.0] * 5) == []
    assert len(read(guard(), "alpha_eigenvalue", [6.0] * 5 + [8.0] * 4 + [8.1])) == 1


def test_eigenvalues_are_compared_by_magnitude():
    assert len(read(guard(), "alpha_eigenvalue", [-value for value in range(1, 11)])) == 1
    assert read(guard(), "alpha_eigenvalue", [value * (-1) ** value for value in [4.0] * 10]) == []


def test_eigenvalues_measured_more_rarely_than_that_are_not_compared():
    assert read(guard(), "alpha_eigenvalue", [1.0, 2.0, 4.0], every=10) == []
    ((epoch, _),) = read(guard(), "alpha_eigenvalue", [1.0, 2.0, 4.0], every=5)
    assert epoch == 10


def test_eigenvalues_of_another_stage_are_not_compared():
    """Two windows of five epochs have to lie in one stage: the third, from epoch 11 on, has them at epoch 20."""
    watching, records = guard(), [{"step": 7 * epoch, "epoch": epoch, "loss": 0.0} for epoch in range(20)]
    for epoch, record in enumerate(records[:15]):
        record |= {"alpha_eigenvalue": float(epoch + 1), "stage": epoch // 5}
        assert watching.read(record) == []
    for epoch, record in enumerate(records[15:]):
        record |= {"alpha_eigenvalue": 16.0 + 10.0 * epoch, "stage": 2}
        assert [warning.epoch for warning in watching.read(record)] == ([19] if epoch == 4 else [])


def test_indecision_counts_at_the_end_alone():
    assert read(guard(), "alpha_entropy", [1.0, 0.999, 0.995]) == []
    assert read(guard(), "alpha_entropy", [1.0, 0.99], ends=True) == []
    ((epoch, warning),) = read(guard(), "alpha_entropy", [1.0, 0.999, 0.995], ends=True)
    assert (epoch, warning.sign, warning.value, warning.limit) == (3, "undecided", 0.995, 0.99)
    assert "--set search.epochs=50 or --set optimizer.alpha_lr=0.03" in warning.text


def test_indecision_says_nothing_where_errors_decide():
    rated = guard(alpha_decides=False)
    assert read(rated, "alpha_entropy", [1.0, 0.999, 0.995], ends=True) == []


def test_steps_without_figures_say_nothing():
    assert guard().read({"step": 1, "epoch": 0, "loss": 0.1, "parameterless_share": None}, last=True) == []


@pytest.mark.parametrize(
    ("optimizer", "blockwise", "watched"),
    [(Bilevel(), False, True), (OneLevel(), False, True), (SinglePath(), False, False), (Bilevel(), True, False)],
)
def test_alpha_is_watched_where_it_is_learnt_for_the_whole_network(optimizer, blockwise, watched):
    space, shape = NasBench201(channels=2, cells=1), ImageShape(1, 8, 4)
    composition = SimpleNamespace(space=space, optimizer=optimizer, teacher=SimpleNamespace(blockwise=blockwise))
    context = SimpleNamespace(composition=composition, shape=shape)
    assert (watch_alpha(context, space.supernet(shape)) is not None) == watched


@attrs.define
class Drive(Keep):
    """Moves the alpha of one operation up in every step."""

    operation: str = ""

    def after_step(self, choices, now):
        with torch.no_grad():
            for row, choice in enumerate(choices):
                choices.alpha[row, choice.candidates.index(self.operation)] += 1.0
        return Verdict()


def begin(folder: Path, images: Path, operation: str) -> RunContext:
    sections = {
        "space": {"part": "nb201", "cells": 1, "channels": 2},
        "schedule": {"part": Drive(operation)},
        "data": {"name": f"arrays:{images}", "validation": 0.0},
        "search": {"epochs": EPOCHS, "batch_size": 10},
        "retrain": {"widths": (), "auxiliary": 0.0},
        "run": {
            "method": "darts",
            "preset": "tiny",
            "threads": 1,
            "device": "cpu",
            "measure_every": 0,
        },
    }
    plugins = load_plugins()
    layer, objects = extract_objects(plugins, sections)
    plugins = add_objects(plugins, objects)
    return start(folder, plugins, resolve(plugins, [layer]), [])


def carry_on(context: RunContext, until: int | None = None) -> None:
    """Searches to the end, or stops after some steps."""
    made = 0

    def count(event):
        nonlocal made
        made += event["event"] == "step"

    for _ in search(context, Journal(context.folder.events, count), lambda: made == until):
        pass


def events_of(context: RunContext) -> list[dict]:
    return list(read_events(context.folder.events))


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory, few_images) -> RunContext:
    context = begin(tmp_path_factory.mktemp("runs") / "collapsed", few_images, SKIP)
    carry_on(context)
    return context


def test_a_search_driven_to_skip_connections_is_warned_of_once(collapsed):
    (warning,) = [event for event in events_of(collapsed) if event["event"] == "warning"]
    assert (warning["phase"], warning["sign"], warning["value"]) == ("search", "parameterless", 1.0)
    assert warning["epoch"] + 1 == 3
    (note,) = [note for note in write_result(collapsed, "running", [])["notes"] if "no parameters" in note]
    assert note == warning["text"]
    shares = [event["parameterless_share"] for event in events_of(collapsed) if "parameterless_share" in event]
    assert shares == [1.0] * EPOCHS


def test_the_warning_follows_the_step_that_gave_rise_to_it(collapsed):
    kinds = [event["event"] for event in events_of(collapsed)]
    assert kinds == ["step"] * 3 * STEPS + ["warning"] + ["step"] * (EPOCHS - 3) * STEPS + ["found"]
    assert events_of(collapsed)[3 * STEPS]["step"] == 3 * STEPS


def test_a_healthy_search_says_nothing(few_images, tmp_path, capsys):
    context = begin(tmp_path / "run", few_images, CONVOLUTION)
    carry_on(context)
    assert {event["event"] for event in events_of(context)} == {"step", "found"}
    assert "operations" not in capsys.readouterr().err
    assert context.folder.done("search")["warnings"] == []


@pytest.mark.parametrize("until", [STEPS + 1, 3 * STEPS, 3 * STEPS + 1])
def test_a_search_that_is_resumed_is_warned_as_if_it_was_not(collapsed, few_images, tmp_path, capsys, until):
    context = begin(tmp_path / "run", few_images, SKIP)
    with pytest.raises(Stopped):
        carry_on(context, until)
    carry_on(context)
    assert context.folder.events.read_text() == collapsed.folder.events.read_text()
    assert capsys.readouterr().err.count("no parameters") == 1
    assert context.folder.done("search")["warnings"] == collapsed.folder.done("search")["warnings"]


def test_a_search_goes_the_same_way_whether_it_is_watched_or_not(collapsed, few_images, tmp_path, monkeypatch):
    monkeypatch.setattr(search_trainer, "watch_alpha", lambda context, net: None)
    context = begin(tmp_path / "run", few_images, SKIP)
    carry_on(context)
    watched, unwatched = (
        read_tensors(each.folder.checkpoint("search"), "checkpoint")[0] for each in (collapsed, context)
    )
    assert watched.keys() == unwatched.keys()
    assert all(torch.equal(watched[name], unwatched[name]) for name in watched)
    plain = [event for event in events_of(collapsed) if event["event"] == "step"]
    losses = [event["loss"] for event in events_of(context) if event["event"] == "step"]
    assert [event["loss"] for event in plain] == losses
