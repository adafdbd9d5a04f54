from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nasplug.errors import InputError
from nasplug.plugins import Settings, load_plugins, plugin_versions

GOOD = """
@hookimpl
def nasplug_register(register):
    register.space("toy", "collections:OrderedDict", summary="A toy.")
"""

BROKEN = {
    "import error": ("import no_such_module", "No module named 'no_such_module'"),
    "exit at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "error in the hook": (
        "@hookimpl\ndef nasplug_register(register):\n    raise RuntimeError('out of toys')",
        "RuntimeError: out of toys",
    ),
    "misspelt hook": (
        "@hookimpl\ndef nasplug_registre(register):\n    pass",
        "the hooks are nasplug_end, nasplug_event, nasplug_register",
    ),
    "unmarked hook": ("def nasplug_register(register):\n    pass", "marked with nasplug.hookspecs.hookimpl"),
    "unknown argument": ("@hookimpl\ndef nasplug_register(registry):\n    pass", "registry"),
    "defaulted argument": (
        "@hookimpl\ndef nasplug_event(run, event=None):\n    pass",
        "The parameter 'event' of its nasplug_event has a default value",
    ),
    "bad name": (
        "@hookimpl\ndef nasplug_register(register):\n    register.space('a:b', 'a:B', summary='s')",
        "Cannot register the search space 'a:b'",
    ),
    "bad target": (
        "@hookimpl\ndef nasplug_register(register):\n    register.method('a', 'a.B', summary='s')",
        "does not read 'package.module:Object'",
    ),
    "no summary": (
        "@hookimpl\ndef nasplug_register(register):\n    register.teacher('a', 'a:B', summary=' ')",
        "it has no summary",
    ),
    "generator": (
        "@hookimpl\ndef nasplug_event(event):\n    yield event",
        "Its nasplug_event is no plain function",
    ),
    "coroutine": (
        "@hookimpl\nasync def nasplug_event(event):\n    pass",
        "Its nasplug_event is no plain function",
    ),
    "wrapper": (
        "@hookimpl(hookwrapper=True)\ndef nasplug_event(event):\n    yield",
        "Its nasplug_event is no plain function",
    ),
    "summary of several lines": (
        "@hookimpl\ndef nasplug_register(register):\n    register.space('a', 'a:B', summary='one\\ntwo')",
        "its summary is not one line of printable text",
    ),
    "name taken by itself": (
        "@hookimpl\ndef nasplug_register(register):\n"
        "    register.dataset('a', 'a:B', summary='s')\n    register.dataset('a', 'a:C', summary='s')",
        "toy-bad has registered one of that name already",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_plugin_is_skipped_and_named(install, capsys, source, reason):
    install("toy-bad", source)
    install("toy-good", GOOD)

    plugins = load_plugins()

    (broken,) = plugins.broken
    assert (broken.name, broken.distribution, broken.version) == ("toy-bad", "toy-bad", "1.0")
    assert reason in broken.reason
    assert capsys.readouterr().err == f"{broken}\n"
    assert "\n" not in str(broken)
    assert plugins.find("space", "toy").distribution == "toy-good"
    assert all(registration.distribution != "toy-bad" for registration in plugins.registrations)


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_strict_mode_refuses_a_broken_plugin(install, monkeypatch, source, reason):
    install("toy-bad", source)
    monkeypatch.setenv("NASPLUG_STRICT", "1")

    with pytest.raises(InputError, match=r"'toy-bad' of toy-bad 1\.0") as caught:
        load_plugins()

    assert reason in str(caught.value)


def test_quiet_says_nothing(install, capsys):
    install("toy-bad", "import no_such_module")

    assert len(load_plugins(quiet=True).broken) == 1
    assert capsys.readouterr().err == ""


def test_plugins_that_share_an_entry_point_name_are_refused_naming_each_other(install):
    install("toy-one", GOOD, entry_point="toy")
    install("toy-two", GOOD, entry_point="toy")

    plugins = load_plugins()

    reasons = {plugin.distribution: plugin.reason for plugin in plugins.broken}
    assert reasons == {
        "toy-one": "toy-two 1.0 has an entry point of the same name.",
        "toy-two": "toy-one 1.0 has an entry point of the same name.",
    }
    with pytest.raises(InputError, match=r"Skipped for errors: toy-one 1\.0, toy-two 1\.0"):
        plugins.find("space", "toy")


def test_no_plugin_displaces_the_core(install):
    install("toy-bad", GOOD, entry_point="builtin")

    plugins = load_plugins()

    assert [plugin.distribution for plugin in plugins.broken] == ["toy-bad"]
    assert plugins.find("space", "darts").distribution == "nasplug"


def test_versions_come_from_metadata_alone(install):
    install("toy-bad", "import no_such_module", version="2.5")

    versions = plugin_versions()

    assert versions["toy-bad"] == "2.5"
    assert "nasplug" in versions


def test_each_call_starts_afresh(install):
    first = load_plugins()
    install("toy-good", GOOD)

    assert first.find_all("space", "toy") == []
    assert len(load_plugins().find_all("space", "toy")) == 1


@pytest.mark.parametrize(
    ("requirement", "reason", "remedy"),
    [
        ("nasplug>=9", "It works with nasplug>=9, and this is nasplug", "Upgrade nasplug: pip install 'nasplug>=9'."),
        (
            "nasplug<0.0.2,>=0.0.1",
            "It works with nasplug>=0.0.1,<0.0.2, and",
            "Upgrade toy-bad, or keep it with an earlier nasplug: pip install 'nasplug>=0.0.1,<0.0.2'.",
        ),
    ],
)
def test_a_plugin_for_another_nasplug_is_refused_unread(install, requirement, reason, remedy):
    install("toy-bad", "import no_such_module", requires=[requirement])

    (broken,) = load_plugins().broken

    assert broken.reason.startswith(reason)
    assert broken.remedy == remedy


def test_the_range_of_a_plugin_is_its_requirement_on_nasplug(install):
    install("toy-one", GOOD, requires=["torch>=2", "NASplug < 99, >= 0.0.1", "nasplug[onnx]>=98; extra == 'all'"])
    install("toy-two", "@hookimpl\ndef nasplug_event(event):\n    pass")

    plugins = {plugin.distribution: plugin for plugin in load_plugins().all}

    assert (plugins["toy-one"].supports, plugins["toy-one"].status) == (">=0.0.1,<99", "active")
    assert [(registration.slot, registration.name) for registration in plugins["toy-one"].registers] == [
        ("space", "toy")
    ]
    assert (plugins["toy-two"].supports, plugins["toy-two"].hooks) == ("", ("nasplug_event",))


def test_a_plugin_says_which_versions_runs_it_continues(install):
    install("toy-one", GOOD + 'RESUMES = ">=0.5,<2"')
    install("toy-two", "@hookimpl\ndef nasplug_event(event):\n    pass")
    install("toy-bad", "@hookimpl\ndef nasplug_event(event):\n    pass\nRESUMES = 'all'")

    every = {plugin.distribution: plugin for plugin in load_plugins().all}

    assert (every["toy-one"].resumes, every["toy-two"].resumes) == (">=0.5,<2", "")
    assert "must be a range of versions such as '>=0.1,<0.3', but it is 'all'" in every["toy-bad"].reason


@pytest.mark.parametrize("word", ["Toy_Good", "entry"])
def test_a_plugin_can_be_left_out(install, monkeypatch, capsys, word):
    install("toy-good", GOOD, entry_point="entry")
    monkeypatch.setenv("NASPLUG_WITHOUT", f" {word} ,,no-such-plugin")

    plugins = load_plugins()

    (disabled,) = [plugin for plugin in plugins.all if plugin.status == "disabled"]
    assert disabled.distribution == "toy-good"
    assert "toy_good_hooks" not in sys.modules
    assert capsys.readouterr().err == (
        "No plugin is called 'no-such-plugin', so there is nothing to leave out (NASPLUG_WITHOUT or --without).\n"
    )
    with pytest.raises(InputError, match=r"Left out on request: toy-good 1\.0\.$"):
        plugins.find("space", "toy")


def test_leaving_out_one_of_two_plugins_of_a_name_saves_the_other(install):
    install("toy-one", GOOD, entry_point="toy")
    install("toy-two", GOOD, entry_point="toy")

    plugins = load_plugins(Settings(without=("toy-one",)))

    assert plugins.find("space", "toy").distribution == "toy-two"


def test_calls_of_hooks_are_printed_on_demand(install, monkeypatch, capsys):
    install("toy-good", GOOD + "@hookimpl\ndef nasplug_event(event):\n    raise OSError('no network')\n")
    monkeypatch.setenv("NASPLUG_TRACE", "1")

    load_plugins().notify(Path("runs/001"), {"event": "step"})

    lines = capsys.readouterr().err.splitlines()
    registered, observed = [line for line in lines if " of toy-good of toy-good 1.0: " in line]
    assert registered.startswith("nasplug_register(register=")
    assert observed.startswith("nasplug_event(event={'event': 'step'})")
    assert observed.endswith(" ms, raised OSError: no network")


@pytest.mark.parametrize(("word", "on"), [("1", True), ("yes", True), ("0", False), ("false", False), ("Off", False)])
def test_switches_of_the_environment(monkeypatch, word, on):
    monkeypatch.setenv("NASPLUG_STRICT", word)

    assert Settings.from_environment().strict is on


def test_odd_metadata_break_one_plugin_only(install, tmp_path):
    install("toy-odd", GOOD, requires=["nasplug===0.1.foo", "not a requirement!"])
    install("toy-nameless", GOOD)
    (metadata,) = (tmp_path / "toy-nameless").glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\n")

    plugins = load_plugins()

    reasons = {plugin.distribution: plugin.reason for plugin in plugins.broken}
    assert reasons["toy-odd"].startswith("It works with nasplug===0.1.foo, and this is nasplug")
    assert "have no name or no version" in reasons["unnamed"]
    assert plugins.find("space", "darts")


def test_two_entry_points_of_one_module_are_one_too_many(install, tmp_path):
    install("toy-twice", GOOD)
    (entry_points,) = (tmp_path / "toy-twice").glob("*.dist-info/entry_points.txt")
    entry_points.write_text(f"{entry_points.read_text()}again = toy_twice_hooks\n")

    plugins = load_plugins()

    assert [plugin.reason for plugin in plugins.broken] == [
        "'toy_twice_hooks' is loaded by another entry point already; one of them is enough."
    ]
    assert len(plugins.find_all("space", "toy")) == 1
