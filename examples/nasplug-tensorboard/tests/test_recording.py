from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nasplug_tensorboard.recording import Recorder
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as Tensors

from nasplug.values import Found, Genotype, Rated, Step

FIRST = Genotype("toy", {"a": ["sep_conv_3x3"], "b": []})
SECOND = Genotype("toy", {"a": ["skip_connect"], "b": ["none"]})


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close(Path("/"))


def step(number: int, loss: float, phase: str = "search", **measures: float) -> dict[str, Any]:
    return {"phase": phase, **Step(step=number, epoch=number // 4, loss=loss, measures=measures).record()}


def found(genotype: Genotype, at: int, **measures: float) -> dict[str, Any]:
    return {"phase": "search", **Found(genotype=genotype, step=at, reason="rated", measures=measures).record()}


def read(folder: Path) -> EventAccumulator:
    """The curves of a folder, as TensorBoard reads them."""
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def scalars(folder: Path, tag: str = "loss") -> list[tuple[int, float]]:
    return [(scalar.step, round(scalar.value, 4)) for scalar in read(folder).Scalars(tag)]


def texts(folder: Path) -> list[tuple[int, str]]:
    # The accumulator for scalars reads texts, too, but does not forget any when a run is resumed.
    shown = Tensors(str(folder), size_guidance={"tensors": 0}).Reload().Tensors("architecture/text_summary")
    return [(text.step, text.tensor_proto.string_val[0].decode()) for text in shown]


def test_every_figure_of_a_step_is_a_curve_of_its_phase(tmp_path: Path, recorder: Recorder) -> None:
    for number in (1, 2, 3):
        recorder.record(tmp_path, step(number, 3.0 - number, S=10.0 * number, deleted=number))
    folder = tmp_path / "tensorboard" / "search"
    assert scalars(folder) == [(1, 2.0), (2, 1.0), (3, 0.0)]  # read while the file is open: on disk at once
    assert scalars(folder, "S") == [(1, 10.0), (2, 20.0), (3, 30.0)]
    assert sorted(read(folder).Tags()["scalars"]) == ["S", "deleted", "loss"]


def test_phases_are_told_apart(tmp_path: Path, recorder: Recorder) -> None:
    for phase in ("search", "retrain/0123456789ab", "baseline/0123456789ab"):
        recorder.record(tmp_path, step(1, 1.0, phase))
        recorder.record(tmp_path, step(2, 0.5, phase))
    files = [path.relative_to(tmp_path / "tensorboard") for path in tmp_path.rglob("events.out.tfevents.*")]
    assert sorted(str(path.parent) for path in files) == [
        "baseline/0123456789ab",
        "retrain/0123456789ab",
        "search",
    ]
    assert scalars(tmp_path / "tensorboard" / "retrain" / "0123456789ab") == [(1, 1.0), (2, 0.5)]


def test_runs_are_told_apart(tmp_path: Path, recorder: Recorder) -> None:
    for run, loss in (("one", 1.0), ("two", 2.0)):
        recorder.record(tmp_path / run, step(1, loss))
    assert scalars(tmp_path / "one" / "tensorboard" / "search") == [(1, 1.0)]
    assert scalars(tmp_path / "two" / "tensorboard" / "search") == [(1, 2.0)]


def test_architectures_are_texts(tmp_path: Path, recorder: Recorder) -> None:
    snapshot = Step(step=1, epoch=0, loss=1.0, snapshot=FIRST, reason="stall").record()
    recorder.record(tmp_path, {"phase": "search", **snapshot})
    recorder.record(tmp_path, step(2, 1.0))
    for place, genotype in enumerate((FIRST, SECOND)):
        recorder.record(tmp_path, found(genotype, 2, rating=0.25 + place))
    folder = tmp_path / "tensorboard" / "search"
    ((number, text),) = texts(folder)
    assert number == 1
    assert FIRST.digest in text
    assert "stall" in text
    assert "| a | sep_conv_3x3 |" in text
    assert "| b | - |" in text
    assert [(number, SECOND.digest in text) for number, text in texts(folder / "found")] == [(0, False), (1, True)]
    assert scalars(folder / "found", "rating") == [(0, 0.25), (1, 1.25)]


def test_ratings_and_events_to_come_are_passed_over(tmp_path: Path, recorder: Recorder) -> None:
    recorder.record(tmp_path, {"phase": "search", **Rated(block=0, path=FIRST, rating=1.0).record()})
    recorder.record(tmp_path, {"phase": "search", "event": "of another version"})
    assert list(tmp_path.iterdir()) == []


WORKER = """
import json, os, signal, sys
from pathlib import Path
from nasplug_tensorboard.hooks import nasplug_event
for line in sys.stdin:
    nasplug_event(Path(sys.argv[1]), json.loads(line))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_after(run: Path, events: list[dict[str, Any]]) -> int:
    """Tells a process of these events, then kills it; its return code."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    return subprocess.run([sys.executable, "-c", WORKER, str(run)], input=lines, text=True, check=False).returncode


def test_a_run_that_was_killed_and_resumed_has_no_step_twice(tmp_path: Path, recorder: Recorder) -> None:
    """The search goes back to its checkpoint after step 3. Its process was not asked whether it is ready to end."""
    assert killed_after(tmp_path, [step(number, 1.0) for number in range(1, 7)]) == -signal.SIGKILL
    for number in range(4, 9):
        recorder.record(tmp_path, step(number, 2.0))
    expected = [(1, 1.0), (2, 1.0), (3, 1.0), *((number, 2.0) for number in range(4, 9))]
    assert scalars(tmp_path / "tensorboard" / "search") == expected


def test_phases_beside_each_other_do_not_meet(tmp_path: Path, recorder: Recorder) -> None:
    """Their events alternate, in one file each; the run is then stopped, and resumed in the middle of one of them."""
    for number in (1, 2, 3):
        recorder.record(tmp_path, step(number, 1.0, "retrain/a"))
        recorder.record(tmp_path, step(number, 2.0, "retrain/b"))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    recorder.close(tmp_path)
    assert not recorder.tracks
    for number in (3, 4):
        recorder.record(tmp_path, step(number, 3.0, "retrain/b"))
    assert scalars(tmp_path / "tensorboard" / "retrain" / "a") == [(1, 1.0), (2, 1.0), (3, 1.0)]
    assert scalars(tmp_path / "tensorboard" / "retrain" / "b") == [(1, 2.0), (2, 2.0), (3, 3.0), (4, 3.0)]


def test_a_run_that_is_resumed_in_the_same_process_has_no_step_twice(tmp_path: Path, recorder: Recorder) -> None:
    for number, loss in ((1, 1.0), (2, 1.0), (3, 1.0), (2, 2.0), (3, 2.0)):
        recorder.record(tmp_path, step(number, loss))
    assert scalars(tmp_path / "tensorboard" / "search") == [(1, 1.0), (2, 2.0), (3, 2.0)]


def test_what_was_found_comes_again_as_a_whole(tmp_path: Path, recorder: Recorder) -> None:
    recorder.record(tmp_path, step(8, 1.0))
    recorder.record(tmp_path, found(FIRST, 8))
    recorder.record(tmp_path, found(SECOND, 8))
    resumed = Recorder()
    resumed.record(tmp_path, found(SECOND, 8))
    resumed.close(tmp_path)
    ((number, text),) = texts(tmp_path / "tensorboard" / "search" / "found")
    assert number == 0
    assert SECOND.digest in text
    assert scalars(tmp_path / "tensorboard" / "search") == [(8, 1.0)]  # no step of the training is forgotten


def test_discovery_imports_neither_torch_nor_tensorboard() -> None:
    code = "import sys, nasplug_tensorboard.hooks; print(sorted({'torch', 'tensorboard'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
