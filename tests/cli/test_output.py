"""What the program prints where the output cannot show every letter, and where nobody reads it."""

from __future__ import annotations

import os

import pytest


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_letters_that_the_output_lacks_are_replaced(nasplug, encoding):
    done = nasplug("show", "\u72ac", env=os.environ | {"PYTHONIOENCODING": encoding}, encoding=encoding)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert (
        f"There is no part, method, data set or run folder '{'\u72ac' if encoding == 'utf-8' else '?'}'" in done.stderr
    )


def test_names_that_are_no_text_are_refused_before_anything_is_written(here, tmp_path):
    out = tmp_path / "run"
    done = here("run", "--data", "folder:dat\udce9", "--out", out)
    assert done.exit_code == 2
    assert "data.name is 'folder:dat\\udce9', which is not UTF-8" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("byte_order_mark", ["", "\ufeff"])
def test_text_files_of_other_systems_are_read(here, tmp_path, byte_order_mark):
    genotype = tmp_path / "genotype.txt"
    genotype.write_bytes(
        (byte_order_mark + "|nor_conv_3x3~0|+\r\n|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|\r\n").encode()
    )
    plain = here(
        "cost", "--space", "nb201", "--genotype", genotype.read_bytes().decode("utf-8-sig").replace("\r\n", "")
    )
    done = here("cost", "--space", "nb201", "--genotype", genotype)
    assert (done.exit_code, done.stdout) == (0, plain.stdout), done.output
    config = tmp_path / "recipe.toml"
    config.write_bytes((byte_order_mark + '[run]\r\nmethod = "none-such"\r\n').encode())
    assert "none-such" in here("run", "--config", config).stderr
