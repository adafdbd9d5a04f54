from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nasplug.errors import InputError
from nasplug.store.best import best_network, best_reference, pareto_front
from nasplug.store.lock import lock_run
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import read_result, set_note
from nasplug.store.run_folder import RunFolder


def entry(name, params, val_error=None, role="found", train_loss=None):
    errors = {"val_error": val_error, "test_error": None, "train_loss": train_loss}
    return {"id": name, "role": role, "matched_to": None, "params": params, "macs": params, **errors}


def network(*figures, **more):
    return NetworkResult.from_entry(entry(*figures, **more))


def best(networks, budget=None):
    chosen = best_network(networks, budget or {})
    return chosen and chosen.id


@pytest.fixture
def write(tmp_path):
    """Writes a result with changes, and returns the run folder."""

    def write_result(**changes):
        content = {"schema": 1, "method": "dnad", "dataset": "digits", "seed": 0, "status": "done", "front": ["a"]}
        content |= {"networks": [entry("a", 10, 0.3), entry("b", 20, 0.1)], "best": "a"}
        (tmp_path / "result.json").write_text(json.dumps(content | changes))
        return tmp_path

    return write_result


def test_the_best_is_chosen_by_validation_error_within_the_limits():
    networks = [network("a", 10, 0.3), network("b", 20, 0.1), network("c", 15, 0.1), network("r", 5, 0.0, "random")]

    assert best(networks) == "c"
    assert best(networks, {"params": 12}) == "a"
    assert best(networks, {"params": 9}) is None


def test_the_front_holds_what_nothing_beats():
    networks = [network("a", 10, 0.3), network("b", 20, 0.1), network("c", 15, 0.1), network("d", 12, 0.35)]

    assert pareto_front(networks) == ("a", "c")


def test_the_best_reference_network_is_chosen_like_the_best_among_those_of_equal_cost():
    found, other = network("a", 10, 0.3), network("b", 20, 0.1)
    references = [network(*figures, "reference") for figures in (("c", 12, 0.2), ("d", 11, 0.2), ("e", 13, 0.25))]
    matched = NetworkResult.from_entry(entry("f", 9, 0.1, "reference") | {"matched_to": "b"})
    networks = [found, other, network("r", 5, 0.0, "random"), *references, matched]

    assert best_reference(networks, found).id == "d"
    assert best_reference(networks, other).id == "f"
    assert best_reference(networks[:3], found) is None
    assert (best(networks), pareto_front(networks)) == ("b", ("a", "b"))


def test_a_reference_network_of_another_budget_counts_where_it_would_be_the_same_network_once_more():
    def of(name, params, error, role, limit):
        budget = {"budget": {"params": limit}, "costs": {"params": params, "macs": 1}}
        return NetworkResult.from_entry(entry(name, params, error, role) | budget)

    found = of("a", 80, 0.3, "found", 90)
    small, large = of("b", 70, 0.2, "reference", 80), of("c", 95, 0.1, "reference", 100)
    assert best_reference([found, small, large], found).id == "b"
    assert best_reference([found, small, large, of("d", 85, 0.4, "reference", 90)], found).id == "d"
    assert best_reference([found, large], found) is None


def test_without_validation_the_training_loss_decides():
    networks = [network("a", 10, train_loss=0.3), network("b", 20, train_loss=0.1), network("c", 5)]

    assert best(networks) == "b"
    assert pareto_front(networks) == ("a", "b")
    assert best([*networks, network("d", 30, 0.5, train_loss=0.0)]) == "d"


def test_the_named_best_is_kept_and_a_missing_one_is_chosen(write):
    assert read_result(write()).best == "a"
    assert read_result(write(best=None)).best == "b"
    assert read_result(write(best=None, networks=[], front=[])).best is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 9}, "has schema 9; this version of nasplug reads schema 1"),
        ({"networks": 3}, "'networks' must be a list of objects"),
        ({"networks": [3]}, "'networks' must be a list of objects"),
        ({"networks": [{"id": "a"}]}, "it lacks 'role', 'matched_to', 'params', 'macs', 'val_error', 'test_error'"),
        ({"networks": [entry("a", "many")]}, "'params' must be a whole number, but it is 'many'"),
        ({"networks": [entry("a", 10, "low")]}, "'val_error' must be a number or null, but it is 'low'"),
        ({"front": 3}, "'front' must be a list of ids"),
        ({"front": ["gone"]}, "there is no network 'gone'"),
        ({"best": "gone"}, "there is no network 'gone'"),
        (
            {"networks": [entry("a", 10, float("nan"))]},
            "'val_error' must be a finite number from 0 to 1, but it is nan",
        ),
        ({"networks": [entry("a", 10, 1.5)]}, "'val_error' must be a finite number from 0 to 1, but it is 1.5"),
        ({"networks": [entry("a", -10)]}, "'params' must not be negative, but it is -10"),
        ({"networks": [entry("a", True)]}, "'params' must be a whole number, but it is True"),
        ({"networks": [entry("../x", 10)]}, "'id' must be up to 64 letters, digits, '-' and '_', but it is '../x'"),
        ({"networks": [entry("a\x1b[2J", 10)]}, r"but it is 'a\x1b[2J'"),
        ({"networks": [entry("a", 10), entry("a", 20)]}, "two of its networks have the same id"),
        ({"networks": [entry("a", 10) | {"weights": "../x"}]}, "'weights' must be a path in the run folder"),
        ({"networks": [entry("a", 10) | {"reference": 3}]}, "'reference' must be a word"),
        ({"networks": [entry("a", 10) | {"genotype": "/x"}]}, "'genotype' must be a path in the run folder"),
        ({"networks": [entry("a", 10) | {"weights": "C:x"}]}, "'weights' must be a path in the run folder"),
        ({"seed": "many"}, "'seed' must be a whole number, but it is 'many'"),
        ({"splits": {"train": float("inf")}}, "'train' must be a whole number, but it is inf"),
        ({"cost": {"search": {"seconds": float("inf")}}}, "'seconds' must be a finite number from 0, but it is inf"),
        ({"checksum": "0123456789abcdef"}, "its content does not match its checksum"),
        ({"splits": 3}, "an entry has the wrong form"),
        ({"cost": {"search": {"seconds": "long"}}}, "'seconds' must be a number or null, but it is 'long'"),
    ],
)
def test_damaged_results_are_refused_with_the_remedy(write, changes, reason):
    run = write(**changes)

    with pytest.raises(InputError) as refusal:
        read_result(run)

    assert str(refusal.value).startswith(f"'{run / 'result.json'}' ")
    assert reason in str(refusal.value)
    assert "schema" in changes or str(refusal.value).endswith(f"; 'nasplug resume {run}' writes it again.")


def test_a_run_that_nobody_carries_out_is_not_running(write):
    run = write(status="running")
    assert read_result(run).status == "stopped"
    assert read_result(run).entries["status"] == "stopped"
    with lock_run(RunFolder(run)):
        assert read_result(run).status == "running"
    assert read_result(run).status == "stopped"


def test_a_note_is_replaced_and_removed(write):
    folder = RunFolder(write(notes=["Of old."]))
    for note, expected in (("The thing: 1", 2), ("The thing: 2", 2), (None, 1), (None, 1)):
        set_note(folder, "The thing", note)
        notes = read_result(folder.path).notes
        assert len(notes) == expected
        assert note is None or notes[-1] == note


def test_reading_a_result_and_making_a_report_import_no_torch():
    code = "import sys, nasplug.store.result, nasplug.report, nasplug.report.methods; print('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
