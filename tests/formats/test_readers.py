from __future__ import annotations

import os

import pytest

from nasplug.errors import InputError
from nasplug.formats.json_text import parse_json, parse_object
from nasplug.formats.limits import DEEPEST, LARGEST_TEXT, MOST_DIGITS, FormatError, check_length
from nasplug.formats.toml_text import parse_toml, read_toml


def nested(depth):
    return "[" * depth + "]" * depth


def test_json_is_read_within_the_limits():
    # A list of numbers is two levels: the list, and what it holds.
    assert parse_json(nested(DEEPEST)) is not None
    assert parse_json("9" * MOST_DIGITS) == 10**MOST_DIGITS - 1
    assert parse_object('{"a": [1, 2.5, null, "é"]}') == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON"),
        ("", "it is not JSON"),
        (nested(DEEPEST + 1), f"nested more than {DEEPEST} deep"),
        (nested(100_000), f"nested more than {DEEPEST} deep"),
        ('{"a":' * 100_000, f"nested more than {DEEPEST} deep"),
        ("9" * (MOST_DIGITS + 1), f"more than {MOST_DIGITS} digits"),
        (f'{{"a": [-{"9" * 5000}]}}', f"more than {MOST_DIGITS} digits"),
        ('{"a": 1, "a": 2}', "the name 'a' twice"),
        ('{"a": "\\ud800"}', "no Unicode character"),
        ('{"\\ud800": 1}', "no Unicode character"),
    ],
    ids=range(10),
)
def test_json_beyond_the_limits_is_refused(text, reason):
    with pytest.raises(FormatError, match=reason):
        parse_json(text)


def test_a_json_object_is_no_other_value():
    with pytest.raises(FormatError, match=r"not a JSON object but \[1\]"):
        parse_object("[1]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "it is not TOML"),
        (f"a = {nested(DEEPEST)}", f"nested more than {DEEPEST} deep"),
        (f"a = {nested(100_000)}", f"nested more than {DEEPEST} deep"),
        (f"{'a.' * 100}a = 1", f"nested more than {DEEPEST} deep"),
        (f"a = {'9' * 5000}", f"more than {MOST_DIGITS} digits"),
        (f"a = 0x{'f' * 9000}", f"more than {MOST_DIGITS} digits"),
        ("a = '\udcff'", "no Unicode character"),
    ],
    ids=range(7),
)
def test_toml_beyond_the_limits_is_refused(text, reason):
    with pytest.raises(FormatError, match=reason):
        parse_toml(text)


def test_toml_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes("\ufeff[run]\r\nseed = 3\r\n".encode())

    assert read_toml(path, "configuration") == {"run": {"seed": 3}}


def test_toml_files_that_are_no_text_are_refused_by_name(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"a = 1\n\xff")
    with pytest.raises(InputError, match=rf"The configuration '{path}' is not TOML .* not text in UTF-8 .* byte 6"):
        read_toml(path, "configuration")


def test_texts_have_a_length():
    check_length("a" * LARGEST_TEXT)
    with pytest.raises(FormatError, match=f"{LARGEST_TEXT + 1} letters"):
        check_length("a" * (LARGEST_TEXT + 1))


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "missing", "/dev/zero", "text/x", "x" * 300, "zero\0"])
def test_only_regular_files_are_read(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    os.mkdir("folder")
    os.symlink("loop", "loop")
    (tmp_path / "text").write_text("a = 1")
    reasons = {
        "fifo": "Is a device or pipe; name a regular file",
        "/dev/zero": "Is a device or pipe; name a regular file",
        "folder": "Is a directory; name a file",
        "loop": "symbolic links; name another place",
        "missing": "No such file or directory",
        "text/x": "No such file or directory",
        "zero\0": "cannot be the name of a file",
    }
    with pytest.raises(InputError, match=reasons.get(kind, "File name too long")):
        read_toml(tmp_path / kind, "configuration")
