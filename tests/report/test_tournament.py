"""Tournaments in the report of a run, and damaged ones."""

from __future__ import annotations

import copy
import re

import pytest

from nasplug.errors import InputError
from nasplug.report import write_report
from nasplug.report.settings import cost_rows
from nasplug.report.tournament import describe_tournament, tabulate_bracket
from nasplug.store.network_result import PhaseCost
from nasplug.store.result import read_result


def standing(name, error, origin="search"):
    return {"id": name, "origin": origin, "params": 1000, "val_error": error}


@pytest.fixture
def held(result):
    """A result with two brackets of four candidates, of which two became networks."""
    found, random = result["networks"][:2]
    rankings = [
        [standing("aa", 0.1), standing("bb", 0.2, "mutation"), standing("cc", 0.3), standing("dd", 0.4)],
        [standing("bb", 0.05, "mutation"), standing("aa", 0.07)],
    ]
    rungs = [{"epochs": 1, "kept": 2, "ranking": rankings[0]}, {"epochs": 2, "kept": 1, "ranking": rankings[1]}]
    bracket = {"role": "found", "budget": {"params": 2000}, "rungs": rungs, "winners": [found["id"]]}
    other = copy.deepcopy(bracket) | {"role": "random", "winners": [random["id"]]}
    for rung in other["rungs"]:
        rung["ranking"] = [each | {"id": f"{each['id']}0", "origin": "random"} for each in rung["ranking"]]
    result |= {"tournament": [bracket, other], "best": found["id"]}
    return result


def test_the_winner_comes_first_then_those_who_came_further(tmp_path, held, write_run):
    result = read_result(write_run(tmp_path, held, steps=0))
    table = tabulate_bracket(result, result.tournament[0])
    assert table.heads == ("candidate", "origin", "network", "params", "after 1 epoch", "after 2 epochs")
    assert table.rows == (
        ("bb", "mutation", held["networks"][0]["id"], "1,000", "20.00 %", "5.00 %"),
        ("aa", "search", "", "1,000", "10.00 %", "7.00 %"),
        ("cc", "search", "", "1,000", "30.00 %", ""),
        ("dd", "search", "", "1,000", "40.00 %", ""),
    )


def test_sentences_say_what_was_trained_and_where_winners_come_from(tmp_path, held, write_run):
    held["tournament"][1]["rungs"] = []
    result = read_result(write_run(tmp_path, held, steps=0))
    assert describe_tournament(result) == [
        "Candidates of the search within 2,000 params: 4 for 1 epoch, then 2 for 2 epochs were trained; kept: 1 "
        "mutated from those.",
        "Random candidates within 2,000 params: no rung is finished.",
    ]


def test_the_page_has_a_chart_and_every_candidate(tmp_path, held, write_run):
    page = write_report(write_run(tmp_path, held, steps=0), {}).read_text()
    assert page.count("Validation error of 8 candidates after each rung") == 1
    for bracket in held["tournament"]:
        for each in bracket["rungs"][0]["ranking"]:
            assert f"<td>{each['id']}</td>" in page


def test_a_run_without_a_tournament_has_no_such_section(tmp_path, result, write_run):
    assert "Tournament" not in write_report(write_run(tmp_path, result, steps=0), {}).read_text()


@pytest.mark.parametrize(
    ("entry", "value"),
    [("rungs", None), ("winners", [1]), ("budget", {"params": "many"}), ("rungs", [{"epochs": -1}]), ("role", 3)],
)
def test_a_damaged_tournament_is_named(tmp_path, held, write_run, entry, value):
    held["tournament"][0][entry] = value
    with pytest.raises(InputError, match="is damaged"):
        read_result(write_run(tmp_path, held, steps=0))


def test_trainings_of_a_rung_are_one_row_of_costs():
    cost = {
        "search": PhaseCost(1.0, 7, "cpu"),
        "tournament/1/aa": PhaseCost(2.0, 5, "cpu"),
        "tournament/1/bb": PhaseCost(3.0, None, "cpu"),
        "tournament/2/aa": PhaseCost(4.0, 6, "cpu"),
        "retrain/aa": PhaseCost(5.0, 2, "cpu"),
    }
    rows = {row[0]: row[3] for row in cost_rows(cost)}
    assert {name: re.match(r"[\d.]+", time)[0] for name, time in rows.items()} == {
        "search": "1.0",
        "tournament/1 (2 trainings)": "5.0",
        "tournament/2": "4.0",
        "retrain/aa": "5.0",
        "total": "15.0",
    }
