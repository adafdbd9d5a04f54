"""What the program prints where the output cannot show every letter, and what it reads of other systems' text."""

from __future__ import annotations

import os

import pytest

KANJI = "\u72ac"


# Where the encoding is ASCII, click takes it for a mistake in the settings and prints UTF-8.
@pytest.mark.parametrize(
    ("encoding", "printed", "shown"), [("cp1252", "cp1252", "?"), ("ascii", "utf-8", KANJI), ("utf-8", "utf-8", KANJI)]
)
def test_letters_that_the_output_lacks_are_replaced(nasplug, encoding, printed, shown):
    done = nasplug("show", KANJI, env=os.environ | {"PYTHONIOENCODING": encoding}, encoding=printed)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"run folder '{shown}'" in done.stderr


def test_names_that_are_no_text_are_refused_before_anything_is_written(here, tmp_path):
    out = tmp_path / "run"
    done = here("run", "--data", "folder:dat\udce9", "--out", out)
    assert done.exit_code == 2
    assert "'name' of data must be text in UTF-8" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("byte_order_mark", ["", "\ufeff"])
def test_text_files_of_other_systems_are_read(here, tmp_path, byte_order_mark):
    genotype = tmp_path / "genotype.txt"
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    genotype.write_bytes(f"{byte_order_mark}{text}\r\n".encode())
    plain = here("cost", "--space", "nb201", "--genotype", text)
    done = here("cost", "--space", "nb201", "--genotype", genotype)
    assert (done.exit_code, done.stdout) == (0, plain.stdout), done.output
    config = tmp_path / "recipe.toml"
    config.write_bytes(f'{byte_order_mark}[run]\r\nmethod = "none-such"\r\n'.encode())
    assert "none-such" in here("run", "--config", config).stderr
