from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.errors import InputError
from nasplug.formats.regular_file import find_kind, read_file


def test_files_have_a_size(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"a" * 100)

    assert read_file(path, "table", most=100) == b"a" * 100
    with pytest.raises(InputError, match=r"The table '.*' cannot be read: it has 100 bytes, and at most 99 are read"):
        read_file(path, "table", most=99)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a file whose size the system gives as 0")
def test_files_that_are_larger_than_their_size_are_read_within_the_limit():
    assert read_file(Path("/proc/self/status"), "status").startswith(b"Name:")
    with pytest.raises(InputError, match="it has more than 10 bytes"):
        read_file(Path("/proc/self/status"), "status", most=10)


def test_what_is_at_a_place_has_a_word(tmp_path):
    (tmp_path / "file").touch()

    assert find_kind(tmp_path / "file") == "file"
    assert find_kind(tmp_path) == "folder"
    assert find_kind(tmp_path / "none") is None
    assert find_kind(Path("/dev/null")) == "device or pipe"
