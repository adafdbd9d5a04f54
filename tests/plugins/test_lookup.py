from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.plugins.settings import Settings


def registering(name: str, target: str = "nasplug.builtin.darts:Darts", slot: str = "space") -> str:
    return f"@hookimpl\ndef nasplug_register(register):\n    register.{slot}({name!r}, {target!r}, summary='A toy.')\n"


def test_a_name_is_imported_when_resolved(install):
    install("toy-one", registering("toy"))
    plugins = load_plugins()
    registration = plugins.find("space", "toy")

    assert (registration.qualified, registration.source) == ("toy-one:toy", "toy-one 1.0")
    assert plugins.resolve(registration).__name__ == "Darts"


def test_a_name_of_two_distributions_is_refused_only_when_asked_for(install, capsys):
    install("toy-one", registering("toy"))
    install("toy-two", registering("toy", "nasplug.builtin.nb201:NasBench201"))

    plugins = load_plugins()

    assert capsys.readouterr().err == ""
    with pytest.raises(InputError) as caught:
        plugins.find("space", "toy")
    assert str(caught.value) == (
        "The search space 'toy' is registered by toy-one 1.0 and by toy-two 1.0; "
        "choose one as 'toy-one:toy' or 'toy-two:toy'."
    )
    assert plugins.resolve(plugins.find("space", "toy-two:toy")).__name__ == "NasBench201"
    assert plugins.find("space", "Toy_One:toy").distribution == "toy-one"


def test_unknown_name_gets_the_nearest_known_one():
    plugins = load_plugins()

    with pytest.raises(InputError, match=r"There is no architecture optimizer 'bilevl'\. Did you mean 'bilevel'"):
        plugins.find("optimizer", "bilevl")
    with pytest.raises(InputError, match=r"There is no data set 'nasplug:digit'\. Did you mean 'nasplug:digits'"):
        plugins.find("dataset", "nasplug:digit")


def test_a_method_that_is_not_installed_says_how_to_get_it():
    plugins = load_plugins()
    plugins.registrations = [
        registration for registration in plugins.registrations if registration.distribution == "nasplug"
    ]

    with pytest.raises(InputError, match=r"It comes with nasplug-dnad: pip install 'nasplug\[methods\]'"):
        plugins.find("method", "dnad")
    with pytest.raises(InputError, match=r"Known: darts, evolution, random\.$"):
        plugins.find("method", "dnx")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("toy_missing:Thing", "No module named 'toy_missing'"),
        ("collections:Thing", "has no attribute 'Thing'"),
    ],
)
def test_an_import_that_fails_names_the_distribution(install, target, reason):
    install("toy-one", registering("toy", target))
    plugins = load_plugins()

    with pytest.raises(InputError, match=r"The search space 'toy' of toy-one 1\.0 cannot be imported") as caught:
        plugins.resolve(plugins.find("space", "toy"))

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("slot", "target", "reason"),
    [
        ("space", "collections:Counter", "is not an attrs class derived from nasplug.parts.SearchSpace"),
        ("schedule", "nasplug.builtin.darts:Darts", "is not an attrs class derived from nasplug.parts.PruningSchedule"),
        ("dataset", "nasplug.builtin.hooks:nasplug_register", "is not an attrs class derived from nasplug.parts.DataS"),
        ("method", "nasplug.builtin.darts:Darts", "is not a nasplug.values.Method"),
        ("teacher", "toy_exits:Thing", "cannot be imported: SystemExit: 0"),
    ],
)
def test_what_a_slot_does_not_ask_for_is_refused(install, here, tmp_path, slot, target, reason):
    install("toy-one", registering("toy", target, slot=slot))
    (tmp_path / "toy-one" / "toy_exits.py").write_text("import sys\nsys.exit(0)\n")

    result = here("show", "toy")

    assert result.exit_code == 2
    assert f"'toy' of toy-one 1.0 {reason}" in result.stderr


@pytest.mark.parametrize("ending", ["raise OSError('no network')", "import sys; sys.exit('no network')"])
def test_observer_that_raises_is_switched_off_and_the_others_go_on(install, capsys, ending):
    install("toy-bad", f"@hookimpl\ndef nasplug_event(event):\n    event['list'].clear()\n    {ending}\n")
    install("toy-good", "seen = []\n@hookimpl\ndef nasplug_event(run, event):\n    seen.append((run, dict(event)))\n")
    plugins = load_plugins()
    event = {"event": "step", "list": [1]}

    for _ in range(3):
        plugins.notify(Path("runs/001"), event)

    import toy_good_hooks  # the module that `install` made

    assert toy_good_hooks.seen == [(Path("runs/001"), {"event": "step", "list": [1]})] * 3
    assert event == {"event": "step", "list": [1]}
    words = (
        "Plugin toy-bad of toy-bad 1.0 is switched off for the rest of this run: (OSError|SystemExit): no network.\n"
    )
    assert re.fullmatch(words, capsys.readouterr().err)


def test_the_end_of_a_run_is_told_and_an_observer_that_raised_before_hears_nothing(install, capsys):
    code = "seen = []\n@hookimpl\ndef nasplug_event(event):\n    {}\n"
    code += "@hookimpl\ndef nasplug_end(run):\n    seen.append(run)\n"
    install("toy-bad", code.format("1 / 0"))
    install("toy-good", code.format("pass"))
    plugins = load_plugins()

    plugins.notify(Path("runs/001"), {})
    plugins.notify_end(Path("runs/001"))

    import toy_bad_hooks  # the modules that `install` made
    import toy_good_hooks

    assert toy_good_hooks.seen == [Path("runs/001")]
    assert toy_bad_hooks.seen == []
    assert "ZeroDivisionError" in capsys.readouterr().err
    plugins.silence_observers()
    plugins.notify_end(Path("runs/001"))
    assert toy_good_hooks.seen == [Path("runs/001")]


def test_observers_that_are_asked_for_must_be_there(install):
    install("toy-watch", "@hookimpl\ndef nasplug_event(event):\n    pass\n")
    install("toy-part", registering("bad", "toy_schedule:Bad", slot="schedule"))
    plugins = load_plugins()

    plugins.refuse_unknown_observers(["toy-watch", "toy_watch"])

    with pytest.raises(
        InputError, match=r"no observer 'toy-wach'\. Did you mean 'toy-watch'\?.*pip install nasplug-toy-wach"
    ):
        plugins.refuse_unknown_observers(["toy-wach"])
    with pytest.raises(InputError, match="no observer 'toy-part'"):
        plugins.refuse_unknown_observers(["toy-part"])


def test_an_error_in_a_part_is_put_down_to_its_plugin(install, here, tmp_path, few_images, monkeypatch):
    install("toy-bad", registering("bad", "toy_schedule:Bad", slot="schedule"))
    (tmp_path / "toy-bad" / "toy_schedule.py").write_text(
        "from nasplug.engine.plain.keep import Keep\n\n\n"
        "class Bad(Keep):\n    def after_step(self, choices, now):\n        raise ValueError('bang')\n"
    )
    words = ("run", "--method", "darts", "--schedule", "bad", "--preset", "tiny", "--data", f"arrays:{few_images}")
    words += ("--set", "data.validation=0", "--out", tmp_path / "run", "--jobs", "1", "--threads", "1")

    result = here(*words)

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: toy-bad 1.0 broke in toy_schedule.py, line 6 (after_step): ValueError: bang. Its author has to fix "
        "that; NASPLUG_DEBUG=1 shows the traceback.\n"
    )
    monkeypatch.setenv("NASPLUG_DEBUG", "1")
    with pytest.raises(ValueError, match="bang"):
        here("resume", tmp_path / "run")


def test_another_process_leaves_out_the_entry_points_that_were_named_and_no_other_of_their_distribution(
    install, tmp_path
):
    install("toy-one", registering("toy"), entry_point="parts")
    with (tmp_path / "toy-one" / "toy_one-1.0.dist-info" / "entry_points.txt").open("a") as points:
        points.write("watch = toy_one_watch\n")
    plugins = load_plugins(Settings(without=("watch",)))
    again = pickle.loads(pickle.dumps(plugins))  # noqa: S301 - what this process has written
    assert [(plugin.name, plugin.status) for plugin in again.all] == [
        (plugin.name, plugin.status) for plugin in plugins.all
    ]
    assert plugins.settings.without == again.settings.without == ("watch",)
