"""What can go wrong, as one tree:

NasplugError
├── InputError       the user asked for something that cannot be had        exit code 2
│   └── Missing      ... without something that only the user has
├── RunFailure       a run broke: NaN loss, full disk                        exit code 1
└── Interrupted      a signal stopped a run that `nasplug resume` continues  exit code 130 or 75

Every message is one sentence or two: what was asked, what was found, what would work.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What a terminal or a browser may obey rather than show: control characters (C0 but for tab and line feed, and C1),
marks of the direction of text, separators of lines, and surrogates, which stand for bytes that are no text."""
QUOTED = 80
"""The most letters that a message quotes of a text or value that it was given."""
QUOTED_PATH = 255
"""The length of a path that is quoted whole, but for components longer than QUOTED: somebody has to find the file."""


class NasplugError(Exception):
    """Anything that nasplug reports to its user without a traceback."""

    exit_code: int = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(NasplugError, ValueError):
    """A flag, file, option, data set, genotype or plugin that cannot be used as asked."""

    exit_code = 2


class Missing(InputError):
    """What was asked for needs something that only the user has, such as a file of weights, and it was not given."""


class RunFailure(NasplugError):
    """A run that broke on its way; what it had written so far stays usable."""

    exit_code = 1


class Interrupted(NasplugError):
    """A run stopped by a signal after saving its state."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return printable(str(self.args[0]))


def quote(value: object, most: int | None = None) -> str:
    """What was given, for a message, on one line: text and paths in quotation marks, other values as Python has them.

    At most `most` letters of it are quoted, by default QUOTED, and for a path QUOTED_PATH. Those that cannot be seen or
    printed are escaped.
    """
    if isinstance(value, os.PathLike):
        text = re.sub(rf"([^/\\]{{{QUOTED}}})[^/\\]+", r"\1...", str(value))
        if len(text) > (most or QUOTED_PATH):
            text = f"{text[:QUOTED]}...{text[-QUOTED:]}"  # its end tells more than its middle
        return f"'{_escape(text, len(text))}'"
    if isinstance(value, str):
        return f"'{_escape(value, most or QUOTED)}'"
    try:
        return _escape(repr(value), most or QUOTED)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or lists within lists
        return f"a huge {type(value).__name__}"


def quote_all(names: Iterable[object]) -> str:
    """Several names or numbers that were given, with commas between them, QUOTED letters in all; empty for none."""
    return _escape(", ".join(map(str, names)), QUOTED)


def _escape(text: str, most: int) -> str:
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:most])
    return f"{shown}..." if len(text) > most else shown


def suggest(asked: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint that ends a sentence, " Did you mean 'NAME'?", with the nearest of `known`; empty if none is similar.

    `cutoff` is the least similarity, from 0 to 1, as `difflib.get_close_matches` measures it.
    """
    # The search takes a time that grows with the square of the length; no name is as long as that.
    near = difflib.get_close_matches(asked, list(known), n=1, cutoff=cutoff) if len(asked) <= QUOTED else []
    return f" Did you mean '{near[0]}'?" if near else ""


def choose_from(kind: str, asked: str, known: Iterable[str]) -> InputError:
    """The refusal of an unknown name: what was asked, the nearest known name, and all that would work."""
    names = sorted(known)
    hint = suggest(asked, names, cutoff=0.5)
    return InputError(f"There is no {kind} {quote(asked)}.{hint} Known: {', '.join(names) or 'none'}.")


def command(*words: object) -> str:
    """A call of nasplug as it is typed in a shell, paths with spaces in quotation marks."""
    return shlex.join(["nasplug", *map(str, words)])


def printable(text: str) -> str:
    """`text` with CONTROLS as escapes, the way Python writes them: for all that reaches a terminal or a page."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def reason(error: BaseException) -> str:
    """What a library says is wrong, without the whole of the file that it may quote: of each word QUOTED letters."""
    return _escape(shorten_words(" ".join(str(error).split())), 3 * QUOTED)


def shorten_words(text: str) -> str:
    """`text` with at most QUOTED letters of each word: what a library quotes of a value may be the whole of it."""
    return re.sub(rf"(\S{{{QUOTED}}})\S+", r"\1...", text)


def one_line(error: BaseException) -> str:
    """An exception as the end of a sentence, without its own full stop."""
    text = " ".join(str(error).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__).rstrip(".")
