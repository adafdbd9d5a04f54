"""The reference says what the code says: nothing out of date, nothing missing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click
import pytest
from reference_writers import MENDED_BY, PAGES, environment, written

import nasplug
from nasplug import hookspecs
from nasplug.cli import main
from nasplug.plugins import Register
from nasplug.values.options import option_fields
from nasplug.values.recipe import SLOTS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = ("nasplug.parts", "nasplug.values", "nasplug.supernets", "nasplug.data", "nasplug.testing")


def read(page: str) -> str:
    return (REFERENCE / f"{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything() -> str:
    return "\n".join(map(read, PAGES))


def headings(text: str) -> set[str]:
    """What stands in code in the headings, without parameters."""
    signatures = (line.strip("# `").removeprefix("class ") for line in text.splitlines() if line.startswith("##"))
    return {signature.partition("(")[0].partition(":")[0].partition(" =")[0] for signature in signatures}


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_up_to_date(page):
    # Not compared by assert: pytest would take minutes to tell the difference of long texts.
    changes = list(unified_diff(read(page).splitlines(), written(page).splitlines(), "committed", "code", n=0))
    if changes:
        told = "\n".join(changes[:20])
        pytest.fail(f"docs/reference/{page}.md is not what the code says; run: {MENDED_BY}\n{told}", pytrace=False)


def test_every_hook_stands_under_its_exact_signature():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("nasplug_")}
    assert len(hooks) == 2
    for name, hook in hooks.items():
        parameters = ", ".join(
            f"{each.name}: {each.annotation}" for each in inspect.signature(hook).parameters.values()
        )
        assert f"## `{name}({parameters}) -> None`\n" in read("hooks")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_a_module_has_an_entry(module, everything):
    missing = set(importlib.import_module(module).__all__) - headings(everything)

    assert not missing


def test_every_public_method_has_an_entry():
    parts = importlib.import_module("nasplug.parts")
    classes = [(name, getattr(parts, name)) for name in parts.__all__ if inspect.isclass(getattr(parts, name))]
    methods = {
        f"{owner}.{name}"
        for owner, cls in [*classes, ("Register", Register)]
        for name, member in vars(cls).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }
    assert {"SearchSpace.decode", "Register.schedule"} <= methods

    assert not methods - headings(read("parts") + read("hooks"))


def test_every_function_of_the_package_has_an_entry():
    functions = {f"nasplug.{name}" for name in nasplug.__all__ if name != "__version__"}

    assert not functions - headings(read("python"))


def test_every_part_has_its_options_and_every_method_its_presets():
    plugins = environment.plugins()
    for registration in plugins.registrations:
        what = plugins.resolve(registration)
        if registration.slot == "method":
            section = entry(read("methods"), f"## `{registration.name}`")
            wanted = [f"Preset `{name}`" for name in what.presets]
        else:
            group = "data" if registration.slot == "dataset" else registration.slot
            section = entry(read("options"), f"### `{registration.name}`")
            wanted = [f"`{group}.{name}`" for name in option_fields(what)]
        assert f"package `{registration.distribution}`" in section
        assert not [each for each in wanted if each not in section], registration.name
    assert {one.slot for one in plugins.registrations} == {*SLOTS, "method", "dataset"}


def entry(page: str, heading: str) -> str:
    """What stands under a heading of this name, wherever there are several."""
    level = heading.partition(" ")[0]
    return "".join(each.partition(f"\n{level} ")[0] for each in f"\n{page}".split(f"\n{heading}\n")[1:])


def test_every_command_has_its_options():
    page = read("commands")
    commands = dict(every_command(click.Context(main, info_name="nasplug")))
    assert {"nasplug run", "nasplug new plugin"} <= set(commands)
    for path, command in commands.items():
        (section,) = [each for each in page.split("\n##") if each.lstrip("# ").startswith(f"`{path} ")]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in section


def every_command(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from every_command(below)
        else:
            yield below.command_path, command
