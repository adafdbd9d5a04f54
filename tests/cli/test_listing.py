from __future__ import annotations

import errno
import json

import click
import pytest
from click.testing import CliRunner, Result

from nasplug.cli import main
from nasplug.cli.lazy import LazyCommand, LazyGroup
from nasplug.errors import InputError, Interrupted, RunFailure


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_list_names_everything_as_json():
    rows = json.loads(call("list", "--json").stdout)

    assert {tuple(row) for row in rows} == {("slot", "name", "distribution", "version", "summary")}
    assert {("space", "darts"), ("optimizer", "fixed"), ("dataset", "folder"), ("method", "dnad")} <= {
        (row["slot"], row["name"]) for row in rows
    }
    assert all(row["summary"].endswith(".") for row in rows)


def test_list_of_a_slot_is_a_table_with_one_line_per_row():
    lines = call("list", "schedule").stdout.splitlines()

    assert lines[0].split() == ["slot", "name", "from", "version", "summary"]
    assert lines[2].startswith("schedule")
    assert lines[2].rstrip().endswith("Deletes nothing.")
    assert len(lines) == 4


def test_list_refuses_an_unknown_slot():
    result = call("list", "spaces")

    assert result.exit_code == 2
    assert "space" in result.stderr


def test_show_tells_the_options_of_a_part():
    (known,) = json.loads(call("show", "bilevel", "--json").stdout)

    assert (known["slot"], known["distribution"]) == ("optimizer", "nasplug")
    order = next(one for one in known["options"] if one["name"] == "order")
    assert order["key"] == "optimizer.order"
    assert (order["type"], order["default"], order["choices"]) == ("str", "first", ["first", "second"])
    assert all(one["meaning"] for one in known["options"])
    assert "optimizer.alpha_lr" in call("show", "bilevel").stdout


def test_show_tells_the_recipe_of_a_method():
    (known,) = json.loads(call("show", "darts", "--slot", "method", "--json").stdout)

    assert known["parts"] == {"space": "darts", "optimizer": "bilevel", "schedule": "keep", "teacher": "labels"}
    assert "laptop" in known["presets"]
    assert "Preset laptop" in call("show", "darts", "--slot", "method").stdout


def test_show_tells_all_that_a_name_stands_for():
    assert {one["slot"] for one in json.loads(call("show", "random", "--json").stdout)} == {"optimizer", "method"}


def test_show_refuses_an_unknown_name():
    result = call("show", "bilevle")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "Error: There is no part, method, data set or run folder 'bilevle'. Did you mean 'bilevel'?"
    )


def network(name: str, role: str, **numbers: object) -> dict[str, object]:
    return {"id": name, "role": role, "macs": 6, **numbers}


RESULT = {
    "schema": 1,
    "status": "done",
    "method": "dnad",
    "dataset": "digits",
    "seed": 0,
    "networks": [
        {
            "id": "aa",
            "role": "found",
            "matched_to": None,
            "params": 12345,
            "macs": 6,
            "val_error": 0.025,
            "test_error": 0.5,
        },
        {
            "id": "bb",
            "role": "random",
            "matched_to": "aa",
            "params": 12,
            "macs": 6,
            "val_error": None,
            "test_error": None,
        },
    ],
    "front": ["aa"],
    "best": "aa",
}


def test_show_prints_the_results_of_a_run(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(RESULT))

    text = call("show", str(tmp_path)).stdout

    assert "dnad on digits, seed 0 (done)" in text
    best = next(line for line in text.splitlines() if "aa" in line)
    assert {"best", "found", "12,345", "2.50"} <= set(best.split())
    assert json.loads(call("show", str(tmp_path), "--json").stdout) == RESULT


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "cannot be read"), ("[]", "but []"), ('{"schema": 9}', "schema 9"), ('{"schema": 1}', "it lacks")],
)
def test_show_refuses_a_damaged_result(tmp_path, text, reason):
    (tmp_path / "result.json").write_text(text)

    result = call("show", str(tmp_path))

    assert result.exit_code == 2
    assert reason in result.stderr


def test_version_names_the_plugins():
    lines = call("--version").stdout.splitlines()

    assert lines[0].startswith("nasplug ")
    assert any(line.startswith("nasplug-snps ") for line in lines)


def test_unknown_command_gets_the_nearest_one():
    result = call("lst")

    assert result.exit_code == 2
    assert "There is no command 'lst'. Did you mean 'list'?" in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (InputError("No such thing."), 2, "Error: No such thing.\n"),
        (RunFailure("The loss is not a number."), 1, "Error: The loss is not a number.\n"),
        (Interrupted("Stopped; go on with nasplug resume.", 75), 75, "Stopped; go on with nasplug resume.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (
            OSError(errno.EACCES, "Permission denied", "/there"),
            2,
            "Error: '/there' cannot be used: Permission denied; name another place.\n",
        ),
    ],
)
def test_errors_end_with_one_line_and_their_exit_code(monkeypatch, error, exit_code, message):
    monkeypatch.delenv("NASPLUG_DEBUG", raising=False)
    result = CliRunner().invoke(raising(error), ["fail"])

    assert (result.exit_code, result.stderr) == (exit_code, message)


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("NASPLUG_DEBUG", "1")
    error = InputError("No such thing.")

    assert CliRunner().invoke(raising(error), ["fail"]).exception is error


def raising(error: BaseException) -> LazyGroup:
    @click.command("fail")
    def fail() -> None:
        raise error

    class OneCommand(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fail

    return OneCommand(table={"fail": LazyCommand("nowhere:fail", "Fails.")})
