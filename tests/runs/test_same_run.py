from __future__ import annotations

from nasplug.plugins import load_plugins
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.same_run import find_differences
from nasplug.values.recipe import Recipe


def recipe(*layers: dict) -> Recipe:
    return resolve_recipe(load_plugins(), [{"run": {"method": "random", "preset": "tiny", "jobs": 1}}, *layers])


def test_the_machine_makes_no_difference():
    elsewhere = recipe({"run": {"jobs": 7, "threads": 5, "device": "cpu"}}, {"data": {"root": "/data"}})
    assert list(find_differences(recipe(), elsewhere)) == []


def test_differences_are_those_of_all_sections():
    assert list(find_differences(recipe(), recipe({"space": {"cells": 4}}))) == ["space.cells is 3 there and 4 here"]
    assert list(find_differences(recipe({"budget": {"params": "5k"}}), recipe())) == [
        "budget.params is 5000 there and unset here"
    ]
    assert "latency.repeats is 9 there and unset here" in find_differences(
        recipe({"latency": {"repeats": 9}}), recipe({"select": {"measures": []}})
    )


def test_what_is_left_to_the_images_is_no_difference():
    photos = {"data": {"name": "folder:photos"}}
    there, other = recipe(photos, {"data": {"size": 48}}), recipe(photos, {"data": {"size": 64}})
    assert list(find_differences(there, recipe(photos), ["size"])) == []
    assert list(find_differences(there, other, ["size"])) == ["data.size is 48 there and 64 here"]
    assert list(find_differences(there, recipe(photos))) == ["data.size is 48 there and unset here"]
    assert list(find_differences(there, recipe(photos, {"data": {"size": 48, "workers": 3}}))) == []
