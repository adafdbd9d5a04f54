"""Who is left after each rung, with errors that are made up in place of trainings."""

from __future__ import annotations

import json
from random import Random

import attrs
import pytest

from nasplug.errors import InputError
from nasplug.runs.bracket import PHASE, Bracket, Candidate, read_brackets, tournament_phases
from nasplug.runs.halving import plan_rungs
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.store.tournament import BracketResult
from nasplug.values import Costs, Genotype


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run")


def make_bracket(count=8, winners=2, role="found", origin="search", first=0):
    plans = [
        PlannedNetwork(role, Genotype("x", {"a": [str(first + number)]}), {"cells": 1}, Costs(params=10, macs=number))
        for number in range(count)
    ]
    candidates = tuple(Candidate(plan, origin) for plan in plans)
    return Bracket(role, {"params": 10.0}, candidates, plan_rungs(count, winners, 100, 0.25))


def train(folder, tasks, errors):
    """What trainings leave, with errors by genotype."""
    for task in tasks:
        folder.finish(task.phase, {"val_error": errors[task.plan.genotype]})


def test_the_better_half_goes_on_by_the_errors_of_its_last_rung(folder):
    bracket = make_bracket()
    genotypes = [each.plan.genotype for each in bracket.candidates]
    first = dict(zip(genotypes, [0.8, 0.1, 0.7, 0.2, 0.6, 0.3, 0.5, 0.4], strict=True))
    tasks = bracket.next_tasks(folder)
    assert [(task.plan, task.epochs) for task in tasks] == [(each.plan, 25) for each in bracket.candidates]
    assert {task.phase for task in tasks} == {f"tournament/1/{task.plan.id}" for task in tasks}
    assert not any(task.keeps_weights for task in tasks)
    train(folder, tasks, first)

    tasks = bracket.next_tasks(folder)
    assert [genotypes.index(task.plan.genotype) for task in tasks] == [1, 3, 5, 7]
    assert {(task.epochs, task.phase) for task in tasks} == {(50, f"tournament/2/{task.plan.id}") for task in tasks}
    train(folder, tasks, {genotypes[1]: 0.4, genotypes[3]: 0.3, genotypes[5]: 0.2, genotypes[7]: 0.1})

    assert bracket.next_tasks(folder) == []
    results, left = bracket.finished_rungs(folder)
    assert [genotypes.index(each.plan.genotype) for each in left] == [7, 5]
    assert [(rung.epochs, rung.kept, len(rung.ranking)) for rung in results] == [(25, 4, 8), (50, 2, 4)]
    assert [standing.val_error for standing in results[0].ranking] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert [standing.id for standing in results[1].best] == [each.plan.id for each in left]


def test_a_rung_with_a_training_left_is_not_decided(folder):
    bracket = make_bracket()
    tasks = bracket.next_tasks(folder)
    train(folder, tasks[:-1], {task.plan.genotype: 0.5 for task in tasks})
    assert bracket.finished_rungs(folder) == ([], list(bracket.candidates))
    assert bracket.next_tasks(folder) == tasks


@pytest.mark.parametrize("seed", range(5))
def test_with_errors_that_do_not_change_the_best_candidates_win(folder, seed):
    bracket = make_bracket(count=13, winners=3)
    errors = {each.plan.genotype: Random(seed + 100 * n).random() for n, each in enumerate(bracket.candidates)}
    while tasks := bracket.next_tasks(folder):
        train(folder, tasks, errors)
    left = [each.plan.genotype for each in bracket.finished_rungs(folder)[1]]
    assert left == sorted(errors, key=errors.__getitem__)[:3]


def test_the_result_names_the_networks_that_the_winners_became(folder):
    bracket = make_bracket(count=4, role="random", origin="random")
    train(folder, bracket.next_tasks(folder), {each.plan.genotype: n / 9 for n, each in enumerate(bracket.candidates)})
    winners = [attrs.evolve(each.plan, matched_to="abc") for each in bracket.candidates[:2]]
    result = bracket.result(folder, [bracket.candidates[3].plan, *reversed(winners)])
    assert result.winners == tuple(plan.id for plan in winners)
    assert bracket.result(folder, []).winners == ()
    entry = json.loads(json.dumps(result.to_entry()))
    assert BracketResult.from_entry(entry) == result
    assert (entry["role"], entry["budget"], len(entry["rungs"])) == ("random", {"params": 10.0}, 1)


def test_brackets_are_kept_in_the_run_folder(folder):
    brackets = [make_bracket(), make_bracket(role="random", origin="random", first=50)]
    assert read_brackets(folder) is None
    folder.finish(PHASE, {"brackets": [bracket.to_dict() for bracket in brackets]})
    assert read_brackets(folder) == brackets
    assert tournament_phases(folder) == [task.phase for bracket in brackets for task in bracket.next_tasks(folder)]


@pytest.mark.parametrize("record", [{}, {"brackets": [{}]}, {"brackets": 3}, {"brackets": [None]}])
def test_a_damaged_record_is_named(folder, record):
    folder.finish(PHASE, record)
    with pytest.raises(InputError, match=r"The tournament in '.*candidates' is damaged .*; remove it to plan it again"):
        read_brackets(folder)


def test_phases_come_rung_after_rung(folder):
    brackets = [make_bracket(), make_bracket(role="random", origin="random", first=50)]
    folder.finish(PHASE, {"brackets": [bracket.to_dict() for bracket in brackets]})
    while tasks := [task for bracket in brackets for task in bracket.next_tasks(folder)]:
        train(folder, tasks, {task.plan.genotype: 0.5 for task in tasks})
    phases = tournament_phases(folder)
    assert [phase.split("/")[1] for phase in phases] == 16 * ["1"] + 8 * ["2"]
    assert len(set(phases)) == 24
