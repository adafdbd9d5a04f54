"""A folder as people have them: names of any kind, links, rubbish and damage between the images."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasplug.builtin.data_sets.csv_list import CsvList
from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.record import DataRecord, SetRecord
from nasplug.errors import InputError

SIDE = 8
NAMES = (
    "plain.png",
    "UPPER.PNG",
    "Mixed.JpG",
    "two words.png",
    " leading blank.png",
    "dots.in.the.name.png",
    "'single' \"double\" `back`.png",
    "new\nline and \ttab.png",
    "--dash.png",
    "$HOME;&|*?[bold].png",
    "%20%s{}.png",
    "Größe.png",
    "cafe\u0301.png",
    "日本語.png",
    "кириллица.png",
    "عربى.png",
    "👩‍🔬.png",
    "\u202eright to left.png",
    os.fsdecode(b"latin-1 caf\xe9.png"),
    "x" * 251 + ".png",
)
RUBBISH = ("Thumbs.db", ".DS_Store", "desktop.ini", "labels.txt", "old.zip", "no suffix", ".hidden.png", "._plain.png")


def level(number: int) -> int:
    return 12 * number


def paint(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (SIDE, SIDE), value).save(path, "PNG")  # also where the name says JPEG: the content counts


def load(path: Path, **options):
    return Folder(**{"size": SIDE, "channels": 1} | options).load(str(path), None, False)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes with an image for each of NAMES, RUBBISH around them, folders within, and links."""
    root = tmp_path / "my photos"
    for number, name in enumerate(NAMES):
        paint(root / "first class" / name, level(number))
        paint(tmp_path / "elsewhere" / name, level(number) + 1)
    (root / "第二").symlink_to(tmp_path / "elsewhere")  # a class may be a link
    for place in (root, root / "first class", tmp_path / "elsewhere"):
        for name in RUBBISH:
            (place / name).write_bytes(b"rubbish")
    paint(root / "first class" / "inner" / "deep" / "z.png", 250)
    (root / "first class" / "inner" / "link.png").symlink_to(tmp_path / "elsewhere" / "plain.png")
    (root / "first class" / "loop").symlink_to(root)
    os.mkfifo(root / "first class" / "pipe.png")
    for hidden in (".git", "__pycache__", ".Trash"):
        paint(root / hidden / "a.png", 1)
        paint(root / "first class" / hidden / "a.png", 1)
    return root


@pytest.mark.timeout(20)
@pytest.mark.parametrize("memory", [0, 2048])
def test_all_images_are_read_and_nothing_else(folder, memory):
    data = load(folder, memory=memory)
    assert data.classes == ("first class", "第二")
    found = dict(zip(data.train.names, data.train.read(range(len(data.train)))[:, 0, 0, 0].tolist(), strict=True))
    expected = {f"first class/{name}": level(number) for number, name in enumerate(NAMES)}
    expected |= {f"第二/{name}": level(number) + 1 for number, name in enumerate(NAMES)}
    expected |= {"first class/inner/deep/z.png": 250, "first class/inner/link.png": 1}
    assert found == expected
    (passed_over, nested) = data.notes
    for part in ("9 hidden", "3 .db", "3 .ini", "3 .txt", "3 .zip", "3 without a suffix", "1 no regular files"):
        assert part in passed_over
    for name in (".Trash", ".git", "__pycache__", "first class/loop", "first class/.git"):
        assert f"'{name}'" in passed_over
    assert nested.startswith("2 images in folders within class folders belong to the class")


def test_any_name_can_be_recorded_and_compared(folder):
    data = load(folder)
    record = DataRecord(data.classes, SIDE, 1, SetRecord.of(data.train), None, (0.5,), (0.5,), data.notes)
    again = DataRecord.from_dict(json.loads(json.dumps(record.to_dict())))
    assert again.find_difference(load(folder)) is None
    paint(folder / "first class" / "new\nline and \ttab.png", 3)
    assert again.find_difference(load(folder)) == r"changed: first class/new\nline and \ttab.png"


def test_a_folder_that_may_only_be_read(folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    folder.chmod(0o555)
    (folder / "first class").chmod(0o555)
    try:
        assert len(load(folder).train) == 2 * len(NAMES) + 2
    finally:
        folder.chmod(0o755)
        (folder / "first class").chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before


def test_names_in_a_table(folder):
    lines = ["path,label"]
    numbers = [number for number, name in enumerate(NAMES) if name.isascii() or name.isprintable()]
    for number in numbers:
        for place in ("first class", "第二"):
            quoted = f"{place}/{NAMES[number]}".replace('"', '""')
            lines.append(f'"{quoted}",{place}')
    (folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    data = CsvList(size=SIDE, channels=1).load(str(folder / "list.csv"), None, False)
    assert data.classes == ("first class", "第二")
    assert data.train.read(range(len(data.train)))[:, 0, 0, 0].tolist() == [
        *(level(number) for number in numbers),
        *(level(number) + 1 for number in numbers),
    ]


def damage(folder: Path) -> dict[str, str]:
    """Adds files that no image can be read from; by name, a part of the reason."""
    place = folder / "first class"
    whole = (place / "plain.png").read_bytes()
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    contents = {
        "empty.png": (b"", "empty, damaged or no image"),
        "cut.png": (whole[:40], ""),
        "page.jpg": (b"<html>Not found</html>", "empty, damaged or no image"),
        "bomb.png": (whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:], "pixels"),
        "drawing.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "empty, damaged or no image"),
    }
    for name, (content, _) in contents.items():
        (place / name).write_bytes(content)
    (place / "gone.png").symlink_to("nothing.png")
    (place / "circle.png").symlink_to("circle.png")
    (place / "folder.jpg").mkdir()
    (place / "endless.png").symlink_to("/dev/zero")
    (place / "waiting.png").symlink_to("pipe.png")
    Image.fromarray(np.zeros((SIDE, SIDE), np.float32)).save(place / "measured.tif")
    return {name: reason for name, (_, reason) in contents.items()} | {
        "gone.png": "No such file",
        "circle.png": "symbolic links",
        "folder.jpg": "Is a directory",
        "endless.png": "device or pipe",
        "waiting.png": "device or pipe",
        "measured.tif": "floating-point",
    }


@pytest.mark.timeout(20)
@pytest.mark.parametrize("memory", [0, 2048])
def test_everything_damaged_is_named_at_once_or_left_out(folder, memory):
    reasons = damage(folder)
    data = load(folder, memory=memory, skip_damaged=True)
    assert len(data.train) == 2 * len(NAMES) + 2
    assert sorted(Path(name).name for name in data.skipped) == sorted(reasons)
    with pytest.raises(InputError) as refusal:
        load(folder)
    message = str(refusal.value)
    assert message.startswith(f"{len(reasons)} image files cannot be read: ")
    for name, reason in reasons.items():
        (told,) = [part for part in message.split(f"{folder}/") if part.startswith(f"first class/{name} (")]
        assert reason in told


def test_a_socket_is_no_image(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        os.rename("s.png", folder / "first class" / "socket.png")
        assert "2 no regular files" in load(folder).notes[0]


def test_a_folder_that_may_not_be_listed_is_refused(folder):
    if os.geteuid() == 0:
        pytest.skip("root lists everything")
    (folder / "first class").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            load(folder)
    finally:
        (folder / "first class").chmod(0o755)


def test_a_class_folder_of_nothing_but_rubbish_is_refused(folder):
    shutil.rmtree(folder / "first class")
    (folder / "first class").mkdir()
    (folder / "first class" / "Thumbs.db").write_bytes(b"")
    with pytest.raises(InputError, match=r"Class folder .*first class holds no images"):
        load(folder)
