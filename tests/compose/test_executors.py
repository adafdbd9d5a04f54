"""The executor of a recipe: by name, by import path, and changed when a run goes on."""

from __future__ import annotations

import tomllib

import pytest

from nasplug.compose import build_executor, complete_executor, resolve_recorded
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.defaults import MAX_DEFAULT, resolve_recipe


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


def test_local_is_taken_where_none_is_named(plugins, tmp_path):
    recipe = resolve_recipe(plugins, [{"run": {"method": "random", "preset": "tiny"}}])
    assert (recipe.executor.name, dict(recipe.executor.options)) == ("local", {"per_gpu": 1})
    earlier = recipe.to_dict()
    earlier.pop("executor")
    earlier["run"].pop("retries")
    assert resolve_recorded(plugins, earlier, tmp_path) == recipe


def test_a_function_is_named_by_its_import_path(plugins):
    layer = {"run": {"method": "random", "preset": "tiny"}, "executor": {"part": "mpi4py.futures:MPIPoolExecutor"}}
    recipe = resolve_recipe(plugins, [layer])
    assert recipe.executor.to_dict() == {"part": "factory", "target": "mpi4py.futures:MPIPoolExecutor"}
    assert recipe.run.jobs == MAX_DEFAULT


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("", "needs the import path of a function, package.module:function"),
        ("no_such_module:pool", r"'no_such_module:pool' cannot be imported: ModuleNotFoundError"),
        ("nasplug:no_such_function", r"cannot be imported: AttributeError"),
        ("nasplug:__version__", r"is no function, but '"),
    ],
)
def test_a_function_that_is_not_there_is_refused_before_the_run(plugins, target, sentence):
    recipe = resolve_recipe(
        plugins,
        [{"run": {"method": "random", "preset": "tiny"}, "executor": {"part": "factory", "target": target}}],
    )
    with pytest.raises(InputError, match=sentence):
        build_executor(plugins, recipe).check()


def test_unknown_executors_and_options_are_refused(plugins):
    with pytest.raises(InputError, match=r"There is no executor 'lokal'. Did you mean 'local'\?"):
        complete_executor(plugins, "lokal", {})
    with pytest.raises(InputError, match="executor local has no option 'cpus'"):
        complete_executor(plugins, "local", {"cpus": 2})
    with pytest.raises(InputError, match="There is no executor 'nasplug:lokal'"):
        complete_executor(plugins, "nasplug:lokal", {})


def test_a_run_goes_on_with_another_executor_without_the_options_of_the_first(here, few_images, tmp_path):
    run, factory = tmp_path / "run", ("--executor", "concurrent.futures:ThreadPoolExecutor")
    words = ("--method", "random", "--preset", "tiny", "--data", f"arrays:{few_images}", "--set", "data.validation=0")
    few = ("--set", "select.networks=1", "--set", "select.measures=", "--set", "select.references=", "--threads", "1")
    done = here("run", *words, *few, *factory, "--jobs", "1", "--out", run)
    assert done.exit_code == 2
    assert "carries out trainings in threads of the program that waits for them" in done.stderr
    assert tomllib.loads((run / "recipe.toml").read_text())["executor"]["part"] == "factory"

    assert here("resume", run, "--set", "search.epochs=3").exit_code == 2
    done = here("resume", run, "--executor", "local", "--set", "executor.per_gpu=2")
    assert done.exit_code == 0, done.output
    assert tomllib.loads((run / "recipe.toml").read_text())["executor"] == {"part": "local", "per_gpu": 2}
