"""Command lines with one thing wrong in each, from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import attrs

WHOLE = (
    "9" * 5000,
    "9" * 40,
    "-1",
    "1e6",
    "nan",
    "inf",
    "",
    "x",
    "0x10",
    "1.5",
    "²",
    "\x1b[2J",
    "[1]",
    "3;rm",
    "\udcff",
)
NAMES = ("x" * 5000, "nosuch", "../x", "a:b:c", "\udcff", "\x1b]0;x\a", "[", "None", "drats", "0", "a\nb", "\u202e")
FILES = (
    "fifo",
    "loop",
    "/dev/zero",
    "/dev/null/x",
    "folder",
    "nowhere",
    "x" * 5000,
    "x/" * 3000,
    "text",
    "\udcff",
    "~no/x",
)
FOLDERS = ("fifo", "loop", "/dev/zero", "nowhere", "empty", "x" * 5000, "text", "\udcff", "half", "~no/x", "a\nb")
PLACES = ("fifo", "loop", "/dev/null/x", "text", "x" * 5000, "text/x", "full")
"""Where nothing can be written."""
SETTINGS = (
    *(
        "nonsense",
        "=",
        "a=b",
        "search.=1",
        ".lr=1",
        "saerch.lr=1",
        "search.epohcs=3",
        "search.lr",
        "x" * 5000,
        "\udcff",
    ),
    *(
        "search.epochs=inf",
        "search.epochs=1e400",
        "search.epochs=1.5",
        "search.epochs=true",
        f"search.epochs={'9' * 5000}",
    ),
    *("search.lr=nan", "search.lr=-1", "search.lr=[1]", "search.lr=1\nx=2", "search.lr=1979-05-27", "search.betas=1"),
    *(
        f"space.operations={'[' * 5000}",
        f"space.operations={'[' * 50}{']' * 50}",
        "space.operations=[1]",
        "space.part=1",
    ),
    *("search.betas=[nan, 1]", "run.device=[1]", "run.threads=0", "run.threads=100000", "run.jobs=1e3", "run.seed=-1"),
    *(
        'run.preset="\\u0000"',
        "run.preset=\udcff",
        "data.name=\udcff",
        "data.validation=2e308",
        "data.validation={a=1}",
    ),
    *(
        "select.networks=0",
        "select.max_params=0.5",
        "search.augment=nosuch",
        "search.nesterov=1",
        f"run.preset={'a' * 999}",
    ),
    *(
        "retrain.widths=[0.5]",
        "retrain.widths=nan",
        "retrain.color_jitter=[1]",
        "space.cells=-3",
        "space.cells=99999999999",
    ),
)
GENOTYPES = (
    *("fifo", "folder", "loop", "text", "", "nonsense", "x" * 5000, "9" * 5000, "[" * 5000, "(" * 5000, '{"a":' * 5000),
    *("-" * 5000 + "1", "Genotype()", "Genotype(normal=1, reduce=2)", "Genotype(*x)", "import os", "\udcff{", "\x1b{"),
    *(
        '{"schema": 1}',
        '{"schema": 1, "schema": 1}',
        '{"schema": true, "space": "darts", "picks": {}}',
        "{}",
        "[]",
        "NaN",
    ),
    *(f"Genotype(normal={'[' * 99}{']' * 99}, reduce=[])", f"Genotype(normal=[('none', 0x{'f' * 9999})], reduce=[])"),
    *('{"schema": 1, "space": "\\ud800", "picks": {}}', f'{{"schema": {"9" * 5000}}}', "|none~0|+|none~0|", "range(9)"),
)
SLOTS = ("--space", "--optimizer", "--schedule", "--teacher")


@attrs.frozen
class CommandLine:
    """Words for `nasplug`, and the word that is wrong, with the flag that it belongs to."""

    words: tuple[str, ...]
    flag: str
    wrong: str


def command_lines(count: int, seed: int, run: str | None) -> Iterator[CommandLine]:
    """`count` of them; those about the networks of a finished run only if the folder of one is given."""
    generator = Random(seed)
    makers = [_of_run, _of_run, _of_run, _of_run, _of_cost, _of_cost, _of_bench, _of_folders, _of_others, _of_plugins]
    for _ in range(count):
        maker = generator.choice([*makers, *([_of_networks] * 2 if run else [])])
        yield maker(generator, run or "")


def _flag(generator: Random, words: tuple[str, ...], flag: str, wrong: tuple[str, ...]) -> CommandLine:
    value = generator.choice(wrong)
    return CommandLine((*words, f"{flag}={value}") if flag else (*words, value), flag, value)


def _of_run(generator: Random, _: str) -> CommandLine:
    flag, wrong = generator.choice(
        [
            *((flag, WHOLE) for flag in ("--seed", "--epochs", "--jobs", "--threads", "--max-params", "--max-macs")),
            *((flag, NAMES) for flag in ("--method", "--preset", "--device", "--precision", "--data", *SLOTS)),
            *((flag, FILES) for flag in ("--config", "--table", "--teacher-from")),
            *[("--set", SETTINGS)] * 6,
            ("--out", PLACES),
        ]
    )
    return _flag(generator, ("run", "--method=random", "--preset=tiny"), flag, wrong)


def _of_cost(generator: Random, _: str) -> CommandLine:
    flag, wrong = generator.choice(
        [("--genotype", GENOTYPES)] * 3
        + [("--space", NAMES), ("--classes", WHOLE), ("--size", WHOLE), ("--channels", WHOLE), ("--set", SETTINGS)]
    )
    words = ("cost", *(() if flag == "--genotype" else ("--genotype={}",)))
    return _flag(generator, words, flag, wrong)


def _of_bench(generator: Random, _: str) -> CommandLine:
    flag, wrong = generator.choice(
        [
            *(
                (flag, WHOLE)
                for flag in ("--batch", "--size", "--classes", "--image-channels", "--threads", "--repeats")
            ),
            ("--deleted", ("nan", "-nan", "inf", "-1", "1", "x", "", "9" * 5000)),
            *((flag, NAMES) for flag in ("--method", "--space", "--preset", "--precision")),
            ("--set", SETTINGS),
        ]
    )
    return _flag(generator, ("bench",), flag, wrong)


def _of_folders(generator: Random, _: str) -> CommandLine:
    command = generator.choice(["resume", "report", "retrain", "compare", "show", "check", "export --format=onnx"])
    wrong = generator.choice(FOLDERS)
    return CommandLine((*command.split(), wrong), "", wrong)


def _of_plugins(generator: Random, _: str) -> CommandLine:
    wrong = generator.choice((*FILES, "bad-name.py", "broken", "a:b", "", "deep"))
    return CommandLine((generator.choice(["list", "plugins"]), f"--plugin={wrong}"), "--plugin", wrong)


def _of_others(generator: Random, _: str) -> CommandLine:
    words, flag, wrong = generator.choice(
        [
            ((), "", ("x" * 5000, "nosuch", "\udcff", "--nosuch", f"--{'x' * 5000}", "lsit", "a\nb")),
            (("list",), "", ("x" * 5000, "nosuch", "\udcff", "--nosuch")),
            (("show",), "", NAMES),
            (("show", "darts"), "--slot", NAMES),
            (("new", "plugin"), "", ("x" * 5000, "loop", "fifo", "text", "-", "A B", "0", "\udcff", "~no/x", "half")),
            (("new", "plugin", "mine"), "--kind", NAMES),
            (("check", "nasplug"), "--waive", ("x", "=", "nosuch=because", "x" * 5000, "\udcff")),
            (("predict", "nowhere", "image.png"), "--top", WHOLE),
            (("predict", "nowhere", "image.png"), "--max-params", tuple(set(WHOLE) - {"-1"})),
        ]
    )
    return _flag(generator, words, flag, wrong)


def _of_networks(generator: Random, run: str) -> CommandLine:
    words, flag, wrong = generator.choice(
        [
            (("predict", run), "", FILES),
            (("predict", run, "text"), "--id", NAMES),
            (("export", run), "--format", NAMES),
            (("export", run, "--format=safetensors"), "--out", (*PLACES, "x.onnx")),
            (("export", run, "--format=safetensors"), "", NAMES),
            (("export", run, "--format=safetensors"), "--max-params", WHOLE),
            (("retrain", run), "--set", tuple(text for text in SETTINGS if text[:4] in ("retr", "sele", "run."))),
            (("retrain", run), "--epochs", WHOLE),
            (("retrain", run), "--out", PLACES),
            (("compare", run), "", FOLDERS),
            (("compare", run), "--out", PLACES),
        ]
    )
    return _flag(generator, words, flag, wrong)
