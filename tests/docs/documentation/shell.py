"""The command lines of a block."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import product

import attrs

from documentation.blocks import Block


@attrs.frozen
class Command:
    """One command: variables set before it, its words, and what the page says that it prints (None: nothing said)."""

    variables: dict[str, str]
    words: list[str]
    printed: str | None


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block, loops unrolled."""
    if block.language == "commands":
        for line in block.text.replace("\\\n", " ").replace("; do\n", "; do ").split("\n"):
            yield from _commands(line, None)
        return
    prompt, *rest = block.text.replace("\\\n", " ").splitlines()
    line, printed = prompt, list[str]()
    for following in [*rest, "$ "]:
        if following.startswith("$ "):
            yield from _commands(line.removeprefix("$ "), "\n".join(printed))
            line, printed = following, []
        else:
            printed.append(following)


def _commands(line: str, printed: str | None) -> Iterator[Command]:
    scanner = shlex.shlex(line, posix=True, punctuation_chars=";&")
    scanner.whitespace_split = True
    scanner.commenters = "#"
    words = list(scanner)
    loops: dict[str, list[str]] = {}
    while words[:1] == ["for"]:  # for NAME in WORDS ; do ...
        end = words.index(";")
        loops[words[1]] = words[3:end]
        words = words[end + 2 :]
    for values in product(*loops.values()):
        given = dict(zip(loops, values, strict=True))
        for plain in _split(words):
            command = [_replaced(word, given) for word in plain if word != "done"]
            variables = {}
            while command and "=" in command[0] and command[0].partition("=")[0].isupper():
                name, _, value = command.pop(0).partition("=")
                variables[name] = value
            if command[:2] == ["uv", "run"] and not command[2].startswith("-"):  # options: an environment of its own
                command = command[2:]
            if command:
                yield Command(variables, command, printed)


def _split(words: list[str]) -> Iterator[list[str]]:
    start = 0
    for place, word in enumerate([*words, ";"]):
        if word in (";", "&&"):
            yield words[start:place]
            start = place + 1


def _replaced(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"${name}", value)
    return word
