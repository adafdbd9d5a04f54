from __future__ import annotations

import pytest

from nasplug.errors import InputError
from nasplug.plugins import load_plugins, plugin_versions

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
        "the hooks are nasplug_event, nasplug_register",
    ),
    "unmarked hook": ("def nasplug_register(register):\n    pass", "marked with nasplug.hookspecs.hookimpl"),
    "unknown argument": ("@hookimpl\ndef nasplug_register(registry):\n    pass", "registry"),
    "defaulted argument": (
        "@hookimpl\ndef nasplug_event(run, event=None):\n    pass",
        "the parameter 'event' of its nasplug_event has a default value",
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
    assert (broken.entry_point, broken.distribution, broken.version) == ("toy-bad", "toy-bad", "1.0")
    assert reason in broken.reason
    assert capsys.readouterr().err == f"{broken}\n"
    assert "\n" not in str(broken)
    assert plugins.find("space", "toy").distribution == "toy-good"
    assert all(one.distribution != "toy-bad" for one in plugins.registrations)


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

    reasons = {one.distribution: one.reason for one in plugins.broken}
    assert reasons == {
        "toy-one": "toy-two 1.0 has an entry point of the same name.",
        "toy-two": "toy-one 1.0 has an entry point of the same name.",
    }
    with pytest.raises(InputError, match=r"Skipped for errors: toy-one 1\.0, toy-two 1\.0"):
        plugins.find("space", "toy")


def test_nobody_displaces_the_core(install):
    install("toy-bad", GOOD, entry_point="builtin")

    plugins = load_plugins()

    assert [one.distribution for one in plugins.broken] == ["toy-bad"]
    assert plugins.find("space", "darts").distribution == "nasplug"


def test_versions_come_from_metadata_alone(install):
    install("toy-bad", "import no_such_module", version="2.5")

    versions = plugin_versions()

    assert versions["toy-bad"] == "2.5"
    assert "nasplug" in versions


def test_each_call_starts_afresh(install):
    first = load_plugins()
    install("toy-good", GOOD)

    assert first.named("space", "toy") == []
    assert len(load_plugins().named("space", "toy")) == 1
