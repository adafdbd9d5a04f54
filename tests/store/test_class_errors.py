from __future__ import annotations

import json

import pytest

from nasplug.errors import InputError
from nasplug.store.best import best_network
from nasplug.store.class_errors import read_class_errors
from nasplug.store.result import read_result


def network(name, **entries):
    return {
        "id": name,
        "role": "found",
        "matched_to": None,
        "params": 5,
        "macs": 9,
        "val_error": 0.2,
        "test_error": 0.3,
        "confusion": [[0, 0, 90], [0, 1, 10], [1, 0, 3], [1, 1, 1], [1, 2, 6]],
        **entries,
    }


def read(tmp_path, *networks, **entries):
    result = {"schema": 1, "method": "m", "dataset": "d", "seed": 0, "status": "done", "networks": list(networks)}
    result |= {"front": [], "best": networks[0]["id"], "data": {"classes": ["a", "b", "c"]}, **entries}
    (tmp_path / "result.json").write_text(json.dumps(result))
    return read_result(tmp_path)


def test_recalls_sizes_and_confusions_are_counted(tmp_path):
    errors = read_class_errors(read(tmp_path, network("x")))
    assert [errors.images(place) for place in range(3)] == [100, 10, 0]
    assert [errors.recall(place) for place in range(3)] == [0.9, 0.1, None]
    assert errors.balanced_accuracy == 0.5
    assert errors.uneven
    assert errors.worst_first() == [1, 0]
    pairs = [(pair.true, pair.answer, pair.images, pair.share) for pair in errors.confused()]
    assert pairs == [("a", "b", 10, 0.1), ("b", "c", 6, 0.6), ("b", "a", 3, 0.3)]


def test_classes_are_uneven_beyond_one_and_a_half_times(tmp_path):
    for larger, uneven in ((15, False), (16, True)):
        rows = [[0, 0, larger], [1, 1, 10]]
        result = read(tmp_path, network("x", confusion=rows), data={"classes": ["a", "b"]})
        assert read_class_errors(result).uneven is uneven


@pytest.mark.parametrize("confusion", [None, []])
def test_results_without_answers_have_none(tmp_path, confusion):
    assert read_class_errors(read(tmp_path, network("x", confusion=confusion))) is None
    entry = network("x")
    del entry["confusion"]
    assert read_class_errors(read(tmp_path, entry)) is None
    assert read_class_errors(read(tmp_path, network("x"), data={"classes": ["a", "b"]})) is None  # one too few


@pytest.mark.parametrize("confusion", [3, [[1, 2]], [[0, 0, -1]], [[0, 0, 1.5]], [["a", 0, 1]], {"a": 1}])
def test_damaged_answers_are_named(tmp_path, confusion):
    with pytest.raises(InputError, match="'confusion' must be"):
        read(tmp_path, network("x", confusion=confusion))


def test_the_error_that_a_run_selects_by_decides_which_network_is_the_best(tmp_path):
    first, second = network("x", val_error=0.1), network("y", val_error=0.2)
    assert best_network(read(tmp_path, first, second).networks).id == "x"
    first["selection_error"], second["selection_error"] = 0.4, 0.3  # the balanced ones
    result = read(tmp_path, first, second, selected_by="balanced", folds=5)
    assert best_network(result.networks).id == "y"
    assert (result.selected_by, result.folds) == ("balanced", 5)
    assert (read(tmp_path, first).selected_by, read(tmp_path, first).folds) == ("error", 0)
