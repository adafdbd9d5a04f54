"""Names of data sets: `dist:name`, `name:location` and both at once, wherever a run takes them apart."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.parts.classification import CLASSIFICATION
from nasplug.plugins import load_plugins
from nasplug.plugins.located_names import split_location
from nasplug.plugins.program_objects import check_present
from nasplug.results.export.metadata import metadata_of
from nasplug.runs.context import new_context
from nasplug.runs.tabular import _data_name
from nasplug.store.run_folder import RunFolder

TWIN = """
@hookimpl
def nasplug_register(register):
    for name in ("digits", "arrays"):
        register.dataset(name, "collections:Counter", summary="Another of this name.")
"""
TINY = {"run": {"method": "random", "preset": "tiny", "device": "cpu"}}


@pytest.fixture
def plugins(install):
    install("toy-twin", TWIN)
    return load_plugins()


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("digits", ("digits", "")),
        ("nasplug:digits", ("nasplug:digits", "")),
        ("Toy_Twin:digits", ("Toy_Twin:digits", "")),
        ("folder:C:/photos", ("folder", "C:/photos")),
        ("nasplug:arrays:/a:b/c.safetensors", ("nasplug:arrays", "/a:b/c.safetensors")),
        ("python:digits", ("python", "digits")),
    ],
)
def test_two_components_are_the_name_where_the_first_is_a_distribution_that_registers_the_second(plugins, asked, place):
    assert split_location(plugins, "dataset", asked) == place


def test_a_distribution_chooses_among_data_sets_of_one_name(plugins, tmp_path):
    with pytest.raises(InputError, match="choose one as 'nasplug:digits' or 'toy-twin:digits'"):
        resolve(plugins, [TINY])

    recipe = resolve(plugins, [TINY, {"data": {"name": "nasplug:digits"}}])

    context = new_context(RunFolder(tmp_path), plugins, recipe)
    assert (context.data.name, len(context.data.train)) == ("digits", 1797)
    assert _data_name(context) == "digits"


def test_what_follows_a_chosen_name_is_its_location(plugins, few_images, tmp_path):
    images = tmp_path / "of:mine.safetensors"
    images.write_bytes(few_images.read_bytes())

    recipe = resolve(plugins, [TINY, {"data": {"name": f"nasplug:arrays:{images}", "validation": 0.0}}])

    context = new_context(RunFolder(tmp_path), plugins, recipe)
    assert len(context.data.train) == 80
    assert _data_name(context) == "of:mine"


def test_an_unknown_name_of_a_distribution_is_refused_as_a_whole(plugins):
    with pytest.raises(InputError, match=r"There is no data set 'nasplug:digit'\. Did you mean 'nasplug:digits'"):
        resolve(plugins, [TINY, {"data": {"name": "nasplug:digit"}}])
    with pytest.raises(InputError, match="There is no data set 'nowhere'"):
        resolve(plugins, [TINY, {"data": {"name": "nowhere:digits"}}])


def test_a_distribution_called_python_is_no_program(install):
    install("python", TWIN)

    check_present(load_plugins(), {"dataset": "python:digits"}, "")


def test_an_exported_file_names_the_data_set_and_not_its_location(plugins, monkeypatch):
    result = SimpleNamespace(method="random", seed=0, dataset="nasplug:arrays:/home/ann/images.safetensors")
    monkeypatch.setattr("nasplug.results.export.metadata.read_result", lambda folder: result)
    record = dict.fromkeys(("id", "role", "params", "macs", "val_error", "test_error"))
    network = SimpleNamespace(plugins=plugins, run=SimpleNamespace(path=None), record=record)
    classifier = SimpleNamespace(
        facts={"data": {}, "genotype": {}},
        tensor_shape=(1, 8, 8),
        channels=1,
        size=8,
        dims=2,
        dtype="uint8",
        classes=(),
        task=CLASSIFICATION,
    )

    assert metadata_of(network, classifier, "N")["dataset"] == "nasplug:arrays"
