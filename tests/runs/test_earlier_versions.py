"""A run that an earlier version started is resumed by this one, which leaves its recipe as it is."""

from __future__ import annotations

import attrs
import pytest

from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.context import reopen_context
from nasplug.runs.create import start
from nasplug.store.run_folder import RunFolder


def installed(plugins, version, resumes=""):
    return attrs.evolve(
        plugins,
        all=[attrs.evolve(plugin, version=version, resumes=resumes) for plugin in plugins.all],
        registrations=[attrs.evolve(registration, version=version) for registration in plugins.registrations],
    )


def test_a_run_of_an_earlier_version_is_reopened_and_its_recipe_stays(tmp_path):
    first, second = (installed(load_plugins(), version, ">=0.1,<0.3") for version in ("0.1.0", "0.2.0"))
    for plugins in (first, second):
        recipe = resolve(plugins, [{"run": {"method": "random", "preset": "tiny"}, "data": {"name": "digits"}}])
        start(tmp_path / plugins.all[0].version, plugins, recipe, [])
    earlier, later = RunFolder(tmp_path / "0.1.0"), RunFolder(tmp_path / "0.2.0")
    before = (earlier.path / "recipe.toml").read_bytes()
    assert earlier.recipe()["plugins"] == {"nasplug": "0.1.0"}

    context = reopen_context(earlier, second)

    assert context.recipe.parts == reopen_context(later, second).recipe.parts
    assert (earlier.path / "recipe.toml").read_bytes() == before
    with pytest.raises(
        InputError, match=r"started with nasplug 0\.2\.0, but .* now 0\.1\.0, .*install version 0\.2\.0"
    ):
        reopen_context(later, first)
