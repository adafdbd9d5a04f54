"""Tournaments of whole runs: with errors that are made up in place of trainings, and trained ones."""

from __future__ import annotations

import json
import signal
import time
from random import Random

import attrs
import numpy as np
import pytest
from safetensors.numpy import load_file

from nasplug.compose import resolve
from nasplug.parts import CostMeasure
from nasplug.plugins import load_plugins
from nasplug.report import write_report
from nasplug.runs import tournament
from nasplug.runs.bracket import read_brackets
from nasplug.runs.create import start
from nasplug.runs.pipeline import plan_first_trainings, plan_networks
from nasplug.runs.retrain import JointTask
from nasplug.runs.search import search
from nasplug.runs.summary import write_result
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask
from nasplug.store.events import ignore_event, read_events
from nasplug.store.result import read_result
from nasplug.values import Progress, Unit

PLUGINS = load_plugins()


@pytest.fixture
def begin(tmp_path):
    """Starts a run of random search on the digits, up to the end of the search."""

    def begin(budget=None, seed=0, **select):
        layer = {
            "space": {"part": "darts", "cells": 2, "nodes": 2, "channels": 4, "choices": "node", "operations": "nadd3"},
            "run": {"method": "random", "preset": "tiny", "threads": 1, "jobs": 1, "device": "cpu", "seed": seed},
            "select": {"networks": 2, "random": 1, "candidates": 8, "measures": [], "references": ["plain"], **select},
            "budget": budget or {},
            "retrain": {"epochs": 8},
        }
        context = start(tmp_path / f"run{len(list(tmp_path.iterdir()))}", PLUGINS, resolve(PLUGINS, [layer]), [])
        for _ in search(context, context.journal(context.folder.events, ignore_event), lambda: False):
            pass
        return context

    return begin


class Trainings:
    """Stands in for trainings: every phase ends with an error that depends on its name alone."""

    def __init__(self):
        self.phases = []
        self.most = 10**6
        """After how many of them a run is stopped."""

    def __call__(self, context, tasks, should_stop, on_event):
        for count, task in enumerate(task for task in tasks if context.folder.done(task.phase) is None):
            if count == self.most:
                raise Stopped
            self.phases.append(task.phase)
            cost = {"seconds": 1.0, "peak_memory_bytes": 0, "device": "cpu"}
            context.folder.finish(task.phase, {"val_error": error_of(task.phase), "train_loss": 1.0, "cost": cost})
            yield Progress(task.phase, 1, 1)


def error_of(phase):
    return Random(phase).random()


@pytest.fixture
def trained(monkeypatch):
    trainings = Trainings()
    monkeypatch.setattr(tournament, "train_networks", trainings)
    return trainings


@attrs.frozen
class Doubled(CostMeasure):
    """Twice the parameters, as measured on the built network."""

    measured = True
    unit = Unit("s", prefix="m")

    def cost(self, net, shape):
        return 2.0 * sum(parameter.numel() for parameter in net.parameters())


def finish(context):
    """The networks that the tournament ends with."""
    steps = plan_networks(context, lambda: False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_found_and_random_candidates_get_the_same_trainings(begin, trained):
    context = begin({"params": 20_000})
    finish(context)
    found, random = read_brackets(context.folder)
    for rung in (1, 2):
        ids = {phase.split("/")[2] for phase in trained.phases if phase.startswith(f"tournament/{rung}/")}
        counts = [len(ids & {each.plan.id for each in bracket.candidates}) for bracket in (found, random)]
        assert counts == [[8, 8], [4, 4]][rung - 1]
    assert len(trained.phases) == len(set(trained.phases)) == 24
    assert [rung.epochs for rung in found.rungs] == [2, 4]


def test_the_learning_rate_of_a_short_training_falls_from_step_to_step(begin, trained):
    context = begin({"params": 20_000})
    winner = finish(context)[0]
    whole = JointTask(TrainingTask.retraining(context, winner)).make_trainer(context, None)
    short = JointTask(TrainingTask(winner, "tournament/1/x", 2, keeps_weights=False)).make_trainer(context, None)
    assert whole.training == context.recipe.retrain
    assert (short.training.epochs, short.training.lr_interval) == (2, "step")


def test_winners_are_matched_by_place_within_a_budget_and_references_stand_beside_them(begin, trained):
    context = begin({"params": 20_000})
    plans = finish(context)
    assert [plan.role for plan in plans] == ["found", "found", "random", "random", "reference"]
    found, random = (bracket.result(context.folder, plans) for bracket in read_brackets(context.folder))
    assert found.winners == (plans[0].id, plans[1].id)
    assert random.winners == (plans[2].id, plans[3].id)
    assert [plan.matched_to for plan in plans] == [None, None, plans[0].id, plans[1].id, None]
    for bracket in (found, random):
        assert [standing.val_error for standing in bracket.rungs[-1].best] == sorted(
            error_of(f"tournament/2/{standing.id}") for standing in bracket.rungs[-1].ranking
        )[:2]
    assert all(plan.costs.params <= 20_000 for plan in plans)


@pytest.mark.parametrize(
    ("budget", "scale"),
    [pytest.param(None, True, id="without a budget"), pytest.param({"params": 60_000}, False, id="budget of sizes")],
)
def test_winners_that_keep_their_sizes_are_matched_in_the_order_of_these(begin, trained, budget, scale):
    for seed in range(3):
        plans = finish(begin(budget, seed=seed, references=[], scale=scale))
        sizes = {plan.id: plan.costs.params for plan in plans}
        pairs = sorted((sizes[plan.matched_to], plan.costs.params) for plan in plans if plan.role == "random")
        assert len(pairs) == 2
        assert pairs[0][1] <= pairs[1][1]


def test_winners_are_measured_by_every_measure_of_the_run(begin, trained):
    context = begin({"params": 20_000}, candidates=4, references=[])
    context = attrs.evolve(context, composition=attrs.evolve(context.composition, costs={"time": Doubled()}))
    plans = finish(context)
    assert [plan.costs["time"] for plan in plans] == [2 * plan.costs.params for plan in plans]
    candidates = [each for bracket in read_brackets(context.folder) for each in bracket.candidates]
    assert all("time" not in each.plan.costs for each in candidates)


def test_every_random_baseline_is_a_tournament_of_its_own(begin, trained):
    plans = finish(begin({"params": 20_000}, random=2, candidates=4, references=[]))
    assert [plan.role for plan in plans] == ["found"] * 2 + ["random"] * 4
    assert [plan.matched_to for plan in plans[2:]] == [plans[0].id, plans[1].id] * 2
    assert len(trained.phases) == 3 * 4


def test_each_budget_has_a_tournament(begin, trained):
    plans = finish(begin({"params": [20_000, 40_000]}, networks=1, candidates=2))
    assert [(plan.role, plan.budget["params"]) for plan in plans] == [
        (role, limit) for limit in (20_000, 40_000) for role in ("found", "random", "reference")
    ]


def test_stopped_at_every_training_it_ends_as_one_that_was_not(begin, trained):
    whole = finish(begin({"params": 20_000}))
    phases, trained.phases, trained.most = trained.phases, [], 1
    context, plans, stops = begin({"params": 20_000}), None, 0
    while plans is None:
        try:
            plans = finish(context)
        except Stopped:
            stops += 1
    assert stops == 22  # at every training but the last of each rung
    assert sorted(trained.phases) == sorted(phases)
    assert plans == whole


def test_the_result_has_every_ranking_and_the_cost_of_every_training(begin, trained):
    context = begin({"params": 20_000})
    plans = finish(context)
    tournament.write_result(context, "running", plans)
    result = read_result(context.folder.path)
    assert [bracket.role for bracket in result.tournament] == ["found", "random"]
    for bracket in result.tournament:
        assert bracket.budget == {"params": 20_000}
        assert [(rung.epochs, rung.kept, len(rung.ranking)) for rung in bracket.rungs] == [(2, 4, 8), (4, 2, 4)]
        assert {each.id for each in bracket.rungs[1].ranking} == {each.id for each in bracket.rungs[0].best}
    assert {phase for phase in result.cost if phase.startswith("tournament")} == set(trained.phases)
    page = write_report(context.folder.path, {}).read_text()
    assert "Candidates of the search within 20,000 params: 8 for 2 epochs, then 4 for 4 epochs were trained" in page
    assert "tournament/1 (16 trainings)" in page
    assert "tournament/2 (8 trainings)" in page


RUN = (
    *("run", "--method", "random", "--preset", "tiny", "--threads", "1"),
    *("--set", "select.networks=1", "--set", "select.candidates=4", "--set", "select.random=1"),
    *("--set", "space.cells=2", "--set", "space.channels=2", "--set", "space.nodes=2", "--budget", "params=6k"),
    *("--set", "retrain.epochs=4", "--set", "retrain.batch_size=32", "--set", "data.test=0.5"),
)
"""Two rungs of 4 and 2 candidates, found and random, with one and two epochs of some 20 steps."""


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_whole_run_that_was_killed_in_its_tournament_ends_like_one_that_was_not(nasplug, here, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = here(*RUN, "--jobs", "1", "--out", whole)
    assert done.exit_code == 0, done.output
    result = json.loads((whole / "result.json").read_text())
    found, random = result["tournament"]
    for bracket in (found, random):
        assert [(rung["epochs"], len(rung["ranking"]), rung["kept"]) for rung in bracket["rungs"]] == [
            (1, 4, 2),
            (2, 2, 1),
        ]
        assert len(bracket["winners"]) == 1
        assert bracket["winners"][0] in {network["id"] for network in result["networks"]}
    phases = [event["phase"] for event in read_events(whole / "events.jsonl")]
    steps = result["splits"]["train"] // 32
    for rung, count in ((1, 8), (2, 4)):
        ids = [each["id"] for bracket in (found, random) for each in bracket["rungs"][rung - 1]["ranking"]]
        assert len(ids) == count
        assert {phases.count(f"tournament/{rung}/{name}") for name in ids} == {steps * rung}
    assert not list((whole / "weights").glob("tournament*"))
    assert len(list((whole / "weights").iterdir())) == 2

    words = (*RUN, "--set", "run.checkpoint_seconds=0.3", "--jobs", "2", "--out", broken)
    for kind, begun in (("tournament/1", 10), ("tournament/2", 20)):
        process = nasplug.start(*words)
        deadline = time.monotonic() + 300
        while not any(
            len(path.read_bytes().splitlines()) > begun for path in broken.glob(f"phases/{kind}/*/events.jsonl")
        ):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        words = ("resume", broken)
    done = here(*words)
    assert done.exit_code == 0, done.output

    again = json.loads((broken / "result.json").read_text())
    for each in (result, again):
        assert set(each.pop("cost")) == {*phases, "search"}
        del each["checksum"]
    assert result == again
    assert (whole / "events.jsonl").read_text() == (broken / "events.jsonl").read_text()
    for path in (whole / "weights").iterdir():
        one, other = load_file(path), load_file(broken / "weights" / path.name)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)

    again = tmp_path / "again"
    done = here(
        "retrain", whole, "--set", "select.candidates=2", "--epochs", "1", "--set", "run.jobs=1", "--out", again
    )
    assert done.exit_code == 0, done.output
    brackets = json.loads((again / "result.json").read_text())["tournament"]
    assert [[len(rung["ranking"]) for rung in bracket["rungs"]] for bracket in brackets] == [[2], [2]]


def test_networks_that_are_chosen_already_need_no_candidates(begin, trained):
    context = begin({"params": 20_000})
    plans = finish(context)
    context.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    again = begin({"params": 20_000})
    again.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    assert list(plan_first_trainings(again, lambda: False)) == []
    assert read_brackets(again.folder) is None
    assert write_result(again, "running", plans)["tournament"] == []


def test_networks_that_several_budgets_have_in_common_are_named_and_references_are_not_called_left_out(begin, trained):
    context = begin({"params": [20_000, 20_001]}, candidates=2)
    plans = finish(context)
    context.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    assert [plan.reference for plan in plans].count("plain") == 1
    notes = write_result(context, "running", plans)["notes"]
    assert not any("was left out" in note for note in notes)
    (note,) = [note for note in notes if "those of another budget" in note]
    assert note.startswith("The found networks within 20,001 params are those of another budget")


def test_a_sample_of_the_order_of_a_search_is_not_said_to_be_of_every_budget(begin, trained):
    context = begin({"params": [20_000, 30_000]}, candidates=2, references=[])
    sample = [plan for plan in finish(context) if plan.budget == {"params": 20_000}]
    context.folder.finish("select", {"plans": [plan.to_dict() for plan in sample], "scores": {}})
    assert not any("those of another budget" in note for note in write_result(context, "running", sample)["notes"])
