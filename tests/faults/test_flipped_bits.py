"""Single bits that flip in the files of a run: every command ends as without the damage, or names it in a sentence."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import nasplug
from nasplug.cli import main

FLIPS = 240
SHORT = (
    *("run", "--method", "dnad", "--preset", "tiny", "--threads", "1", "--jobs", "1", "--epochs", "2"),
    *("--set", "search.batch_size=16", "--set", "retrain.batch_size=16", "--set", "select.networks=1"),
    *(
        "--set",
        "space.nodes=2",
        "--set",
        "space.channels=2",
        "--set",
        "retrain.channels=2",
        "--set",
        "data.validation=0",
    ),
    *("--set", "retrain.epochs=2", "--set", "teacher.epochs=1"),
)
CHANGED = "recipe.toml"
"""What a command says whose outcome follows a changed recipe."""


RETRAINED = ("recipe.toml", "splits.safetensors", "events.jsonl", "phases/search", "phases/teacher")
"""What `nasplug retrain` takes from another run; it opens nothing else of it."""


@attrs.frozen
class Outcome:
    """How a command ended."""

    code: int
    text: str
    """What it printed, or the traceback."""
    left: object = None
    """What it wrote."""

    @property
    def is_refusal(self) -> bool:
        """Whether it ended with one sentence about what is wrong."""
        errors = [line for line in self.text.splitlines() if line.startswith("Error: ")]
        return self.code in (1, 2) and len(errors) == 1 and "Traceback" not in self.text


def call(*words: object) -> Outcome:
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return Outcome(1, f"Traceback: {done.exception!r}")
    return Outcome(done.exit_code, done.output)


def state(run: Path) -> dict[str, Any]:
    """All that two equal runs share: weights, genotypes, events and results without their times."""
    if not (run / "result.json").is_file():
        return {}
    result = json.loads((run / "result.json").read_text())
    for name in ("cost", "checksum"):
        result.pop(name, None)
    files = {
        str(path.relative_to(run)): path.read_bytes() for path in [*run.glob("weights/*"), *run.glob("genotypes/*")]
    }
    return {"result": result, "events": (run / "events.jsonl").read_text(), **files}


def carry_on(*words: object, run: Path) -> Outcome:
    done = call(*words)
    text = "\n".join(
        line for line in done.text.splitlines() if line.startswith(("Error", "Traceback")) or CHANGED in line
    )
    return Outcome(done.code, text, state(run) if done.code == 0 else None)


def commands(run: Path, image: Path) -> dict[str, Callable[[], Outcome]]:
    """Every command that reads a run, by name; those that write in it come last."""
    exported, page, other = run.with_name("net.safetensors"), run.with_name("page.html"), run.with_name("other")

    def export() -> Outcome:
        done = call("export", run, "--format", "safetensors", "--out", exported, "--force")
        return attrs.evolve(done, left=exported.read_bytes() if done.code == 0 else None)

    def report() -> Outcome:
        done = call("report", run)
        return attrs.evolve(done, left=(run / "report.html").read_text() if done.code == 0 else None)

    return {
        "show": lambda: call("show", run),
        "show --json": lambda: call("show", run, "--json"),
        "predict": lambda: call("predict", run, image, "--top", "3"),
        "export": export,
        "compare": lambda: call("compare", run, "--out", page),
        "retrain": lambda: carry_on("retrain", run, "--epochs", "1", "--out", other, run=other),
        "report": report,
        "resume": lambda: carry_on("resume", run, run=run),
    }


def outcomes(
    source: Path, run: Path, image: Path, names: tuple[str, ...], damage=lambda run: None
) -> dict[str, Outcome]:
    """The outcome of each command on a damaged copy of `source` at `run`."""
    results = {}
    for name in names:
        for folder in (run, run.with_name("other")):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, run)
        damage(run)
        results[name] = commands(run, image)[name]()
    return results


def flip(path: Path, place: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def judge(actual: Outcome, expected: Outcome, damaged: str) -> str:
    """What became of the damage: "same", "refused", "told", or what is wrong.

    `damaged` is the file, which may stay as it is where a command has no need of it.
    """
    left = [
        {name: content for name, content in each.left.items() if name != damaged}
        if isinstance(each.left, dict)
        else each.left
        for each in (actual, expected)
    ]
    if (actual.code, actual.text) == (expected.code, expected.text) and left[0] == left[1]:
        return "same"
    if actual.is_refusal:
        return "refused"
    said = " ".join(f"{actual.text}{actual.left if isinstance(actual.left, str) else ''}".split())
    if "changed since" in said or "cannot be used" in said:
        return "told"
    return "TRACEBACK" if "Traceback" in actual.text else "SILENT"


def judge_flips(
    sources: Mapping[str, Path], work: Path, names: Sequence[str], flips: int, seed: int, files_like: str = "*"
) -> tuple[Counter[str], list[str]]:
    """How many commands ended in which way, and those that ended in a wrong one.

    Bits are flipped in files whose names match `files_like`.
    """
    work.mkdir()
    image, generator = work / "image.png", Random(seed)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3).save(image)
    expected = {kind: outcomes(source, work / "run", image, names) for kind, source in sources.items()}
    counts: Counter[str] = Counter()
    wrong = []
    for _ in range(flips):
        kind = generator.choice(sorted(sources))
        files = sorted(path for path in sources[kind].rglob(files_like) if path.is_file() and path.stat().st_size)
        file = generator.choice(files).relative_to(sources[kind])
        place, bit = generator.randrange((sources[kind] / file).stat().st_size), generator.randrange(8)
        actual = outcomes(
            sources[kind],
            work / "run",
            image,
            [name for name in names if name != "retrain" or str(file).startswith(RETRAINED)],
            lambda run, file=file, place=place, bit=bit: flip(run / file, place, bit),
        )
        for name, outcome in actual.items():
            verdict = judge(outcome, expected[kind][name], str(file))
            counts[verdict] += 1
            if verdict.isupper():
                wrong.append(
                    f"{verdict}: {name} of the {kind} run, bit {bit} of byte {place} of {file}: {outcome.text}"
                )
    return counts, wrong


@pytest.fixture
def no_report(monkeypatch):
    """Runs that end write no page, which takes longest; `nasplug report` still does."""
    importlib.import_module("nasplug.cli.retrain")  # before the function is replaced that it imports
    monkeypatch.setattr(sys.modules["nasplug.runs.pipeline"], "write_run_report", lambda folder, plugins: folder.path)


def stopped(whole: Path, out: Path, phase: str, events: int) -> Path:
    """A run with the recipe of `whole` that is left after this many events of a phase."""
    seen = 0
    for event in nasplug.search(config=whole / "recipe.toml", out=out):
        seen += event["phase"].startswith(phase)
        if seen == events:
            return out
    raise AssertionError(f"there are no {events} events of {phase}")


@pytest.mark.slow
def test_a_sample_of_flipped_bits_is_noticed(finished_run, tmp_path):
    _, wrong = judge_flips({"finished": finished_run}, tmp_path / "any", ("show", "predict"), 7, 1)
    # Few of these files are read by both. The result is.
    counts, wrong_there = judge_flips({"finished": finished_run}, tmp_path / "read", ("show",), 6, 1, "result.json")
    assert wrong + wrong_there == []
    assert counts["refused"] >= 4


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_flipped_bits_are_noticed_by_every_command(few_images, tmp_path, capsys, no_report):
    whole = tmp_path / "whole"
    done = call(*SHORT, "--data", f"arrays:{few_images}", "--out", whole)
    assert done.code == 0, done.text
    sources = {
        "finished": whole,
        "searching": stopped(whole, tmp_path / "searching", "search", 5),
        "retraining": stopped(whole, tmp_path / "retraining", "retrain", 4),
    }
    names = ("show", "show --json", "predict", "export", "compare", "retrain", "report", "resume")
    counts, wrong = judge_flips(sources, tmp_path / "work", names, FLIPS, 0)
    with capsys.disabled():
        print(f"\n{FLIPS} flips: {dict(counts)}", *wrong, sep="\n")  # noqa: T201 - the figures of the check
    assert wrong == []
