"""What an observer sees of a whole run whose networks are trained in other processes."""

from __future__ import annotations

import json

import pytest

OBSERVER = """
import json, os
from nasplug.hookspecs import hookimpl

def write(run, line):
    with (run / "seen.jsonl").open("a") as stream:
        stream.write(json.dumps([os.getpid(), *line]) + "\\n")

@hookimpl
def nasplug_event(run, event):
    write(run, ["event", event])

@hookimpl
def nasplug_end(run):
    write(run, ["end", json.loads((run / "result.json").read_text())["status"]])
"""


@pytest.mark.slow
@pytest.mark.timeout(600)  # it starts three processes, one after the other
def test_all_events_come_in_one_process_and_the_end_comes_once(nasplug, few_images, tmp_path):
    path, run = tmp_path / "watching.py", tmp_path / "run"
    path.write_text(OBSERVER)
    words = ("--method", "darts", "--preset", "tiny", "--data", f"arrays:{few_images}", "--set", "search.epochs=1")
    words += ("--set", "retrain.epochs=1", "--set", "run.measure_every=0", "--jobs", "2", "--threads", "1")

    done = nasplug("run", *words, "--plugin", path, "--observe", "watching", "--out", run)

    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in (run / "seen.jsonl").read_text().splitlines()]
    assert len({process for process, *_ in seen}) == 1
    assert [(what, content) for _, what, content in seen if what == "end"] == [("end", "done")]
    assert seen[-1][1] == "end"
    events = [content for _, what, content in seen if what == "event"]
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    phases = {line["phase"] for line in lines}
    assert {phase.partition("/")[0] for phase in phases} == {"search", "retrain", "baseline"}
    for phase in phases:
        assert [event for event in events if event["phase"] == phase] == [
            line for line in lines if line["phase"] == phase
        ]
