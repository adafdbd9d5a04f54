from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.errors import QUOTED, choose_from, quote, quote_all, suggest


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("text", "'text'"),
        ("two\nlines\tand \x1b[2J", "'two\\nlines\\tand \\x1b[2J'"),
        ("\udcff \u202e \0", "'\\udcff \\u202e \\x00'"),
        ("é", "'é'"),
        ("a" * QUOTED, f"'{'a' * QUOTED}'"),
        ("a" * (QUOTED + 1), f"'{'a' * QUOTED}...'"),
        (3, "3"),
        ([1, "a"], "[1, 'a']"),
        (["a" * 100], f"['{'a' * (QUOTED - 2)}..."),
        (float("inf"), "inf"),
        (Path("runs/001"), "'runs/001'"),
        (Path("a" * 100, "b"), f"'{'a' * QUOTED}.../b'"),
    ],
)
def test_what_was_given_is_quoted_on_one_line(value, quoted):
    assert quote(value) == quoted


def test_what_python_cannot_write_is_quoted_as_huge():
    nested = []
    for _ in range(100_000):
        nested = [nested]

    assert quote(10**5000) == "a huge int"
    assert quote(nested) == "a huge list"
    while nested:  # so that Python need not free them one within the other
        nested = nested.pop()


def test_long_paths_are_cut():
    path = Path(*["b" * 50] * 50)

    assert quote(path) == f"'{str(path)[:QUOTED]}...{str(path)[-QUOTED:]}'"
    assert quote(Path("b" * 50, "c" * 50)) == f"'{'b' * 50}/{'c' * 50}'"


def test_several_names_are_quoted_together():
    assert quote_all(["a", 1]) == "a, 1"
    assert quote_all([]) == ""
    assert quote_all(range(1000)) == f"{', '.join(map(str, range(1000)))[:QUOTED]}..."


def test_no_name_is_suggested_for_a_long_text():
    assert suggest("darst", ["darts"]) == " Did you mean 'darts'?"
    assert suggest("darst" * 50, ["darts" * 50]) == ""


def test_an_unknown_name_is_quoted():
    assert str(choose_from("part", "\x1b" * 100, ["b", "a"])).startswith(f"There is no part '{chr(92)}x1b{chr(92)}x1b")
