"""The generated reference is up to date and complete."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click
import pytest
from reference_writers import COMMAND, PAGES, environment, render_page

import nasplug
from nasplug import hookspecs
from nasplug.cli import main
from nasplug.plugins import Register
from nasplug.values.options import option_fields
from nasplug.values.recipe import SLOTS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = (
    "nasplug.parts",
    "nasplug.values",
    "nasplug.supernets",
    "nasplug.data",
    "nasplug.testing",
    "nasplug.spaces",
    "nasplug.spaces.darts",
    "nasplug.optimizers",
)


def read(page: str) -> str:
    return (REFERENCE / f"{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def all_pages() -> str:
    return "\n".join(map(read, PAGES))


def headings(text: str) -> set[str]:
    """The names in the headings, without parameters."""
    signatures = (line.strip("# `").removeprefix("class ") for line in text.splitlines() if line.startswith("##"))
    return {signature.partition("(")[0].partition(":")[0].partition(" =")[0] for signature in signatures}


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_up_to_date(page):
    # Not by assert: pytest would take minutes to show the difference of two long texts.
    changes = list(unified_diff(read(page).splitlines(), render_page(page).splitlines(), "committed", "code", n=0))
    if changes:
        shown = "\n".join(changes[:20])
        pytest.fail(f"docs/reference/{page}.md is out of date; run: {COMMAND}\n{shown}", pytrace=False)


def test_every_hook_has_an_entry_under_its_exact_signature():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("nasplug_")}
    assert len(hooks) == 3
    for name, hook in hooks.items():
        parameters = ", ".join(
            f"{parameter.name}: {parameter.annotation}" for parameter in inspect.signature(hook).parameters.values()
        )
        assert f"## `{name}({parameters}) -> None`\n" in read("hooks")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_a_module_has_an_entry(module, all_pages):
    missing = set(importlib.import_module(module).__all__) - headings(all_pages)

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
    plugins = environment.load()
    for registration in plugins.registrations:
        target = plugins.resolve(registration)
        if registration.slot == "method":
            section = entry(read("methods"), f"## `{registration.name}`")
            expected = [f"Preset `{name}`" for name in target.presets]
        else:
            section = entry(read("options"), f"### `{registration.name}`")
            expected = [f"`{registration.section}.{name}`" for name in option_fields(target)]
        assert f"package `{registration.distribution}`" in section
        assert not [words for words in expected if words not in section], registration.name
    assert {registration.slot for registration in plugins.registrations} == {
        *SLOTS,
        "method",
        "dataset",
        "cost",
        "executor",
        "reference",
    }


def entry(page: str, heading: str) -> str:
    """The text under all headings of this name."""
    level = heading.partition(" ")[0]
    return "".join(rest.partition(f"\n{level} ")[0] for rest in f"\n{page}".split(f"\n{heading}\n")[1:])


def test_every_command_has_its_options():
    page = read("commands")
    commands = dict(every_command(click.Context(main, info_name="nasplug", **main.context_settings)))
    assert {"nasplug run", "nasplug new plugin"} <= set(commands)
    for path, command in commands.items():
        (section,) = [text for text in page.split("\n##") if text.lstrip("# ").startswith(f"`{path} ")]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in section


def every_command(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        subcontext = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from every_command(subcontext)
        else:
            yield subcontext.command_path, command
