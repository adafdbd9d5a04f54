"""A run goes on with the images that it was started with, wherever it is resumed, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest
import tomli_w
import torch
from PIL import Image

from nasplug.builtin.data_sets.folder import Folder
from nasplug.compose import compose, resolve
from nasplug.data.in_memory import InMemorySource, to_image_data
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import PROGRAM, add_objects
from nasplug.runs import data as runs_data
from nasplug.runs.context import look_closely, new_context, reopen_context, show_notes, write_start
from nasplug.runs.data import UNRECORDED, load_data
from nasplug.runs.summary import write_result
from nasplug.store.run_folder import RunFolder
from nasplug.values.checksum import CHECKSUM

PLUGINS = load_plugins()


def paint(folder: Path, seed: int, side: int = 8) -> None:
    generator = np.random.default_rng(seed)
    for number in range(12):
        path = folder / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (side, side), dtype=np.uint8)).save(path)


def begin(folder: Path, location: str = "folder:photos", plugins=PLUGINS, **options):
    options = options or {"size": 8}
    layer = {
        "run": {"method": "random", "preset": "tiny", "device": "cpu"},
        "data": {"name": location, "validation": 0.0, **options},
    }
    context = new_context(RunFolder.create(folder), plugins, resolve(plugins, [layer]))
    write_start(context, [])
    return context


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working directory, with `photos` in it and a run on them, `run`."""
    folder = tmp_path / "here"
    paint(folder / "photos", 0)
    monkeypatch.chdir(folder)
    begin(folder / "run")
    return folder


def same_images(context, photos: Path) -> bool:
    first = Image.open(photos / "a" / "00.png")
    return np.array_equal(context.data.train.read([0])[0, 0].numpy(), np.array(first))


def test_a_run_is_reopened_with_equal_images(here):
    context = reopen_context(RunFolder(here / "run"), PLUGINS)
    assert same_images(context, here / "photos")
    assert context.record.train.names[:2] == ("a/00.png", "a/02.png")
    recorded = json.loads((here / "run" / "data.json").read_text())
    assert recorded["place"]["absolute_location"] == str(here / "photos")
    assert (context.mean, context.std) == (tuple(recorded["mean"]), tuple(recorded["std"]))


@pytest.mark.parametrize("others_there", [False, True])
def test_from_another_directory_the_recorded_place_is_found(here, tmp_path, monkeypatch, others_there):
    (tmp_path / "there").mkdir()
    if others_there:
        paint(tmp_path / "there" / "photos", 1)
    monkeypatch.chdir(tmp_path / "there")
    assert same_images(reopen_context(RunFolder(here / "run"), PLUGINS), here / "photos")


@pytest.mark.parametrize("others_there", [False, True])
def test_images_that_moved_together_with_the_working_directory_are_found(here, tmp_path, monkeypatch, others_there):
    here.rename(tmp_path / "there")
    if others_there:
        paint(here / "photos", 1)
    monkeypatch.chdir(tmp_path / "there")
    assert same_images(reopen_context(RunFolder(tmp_path / "there" / "run"), PLUGINS), tmp_path / "there" / "photos")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda photos: shutil.copy(photos / "a/00.png", photos / "a/000.png"), r"\(added: a/000\.png\)"),
        (lambda photos: (photos / "b/03.png").unlink(), r"\(removed: b/03\.png\)"),
        (lambda photos: shutil.copy(photos / "a/00.png", photos / "a/02.png"), r"\(changed: a/02\.png\)"),
        (lambda photos: shutil.move(photos / "a/02.png", photos / "b/02.png"), r"added: b/02\.png; removed: a/02"),
        (lambda photos: (photos / "a").rename(photos / "c"), "classes b, c, and it was a, b"),
    ],
)
@pytest.mark.parametrize("memory", [0, 2048])
def test_changed_images_are_refused_by_name(here, change, difference, memory):
    begin(here / "again", size=8, memory=memory)
    change(here / "photos")
    with pytest.raises(InputError, match=f"are not those that the run .*again' was started with .*{difference}"):
        reopen_context(RunFolder(here / "again"), PLUGINS)


def test_without_the_images_it_is_said_where_they_were_and_how_to_name_their_new_place(here):
    (here / "photos").rename(here / "pictures")
    with pytest.raises(InputError, match=f"There is no folder {here / 'photos'}.* as data.name into .*recipe.toml"):
        reopen_context(RunFolder(here / "run"), PLUGINS)
    folder = RunFolder(here / "run")
    sections = folder.recipe()
    sections["data"]["name"] = "folder:pictures"
    (here / "run" / "recipe.toml").write_text(tomli_w.dumps(sections))
    assert same_images(reopen_context(folder, PLUGINS), here / "pictures")
    paint(here / "pictures", 1)
    with pytest.raises(InputError, match=r"changed: a/00\.png, a/02\.png"):
        reopen_context(folder, PLUGINS)


def test_damaged_files_are_found_before_a_run_starts_wherever_images_are_kept(here):
    (here / "photos" / "b" / "05.png").write_bytes(b"")
    for memory in (0, 2048):
        with pytest.raises(InputError, match=r"b/05\.png cannot be read"):
            begin(here / f"memory{memory}", size=8, memory=memory)


def test_a_run_that_recorded_nothing_goes_on_with_a_note(here, capsys):
    (here / "run" / "data.json").unlink()
    context = reopen_context(RunFolder(here / "run"), PLUGINS)
    assert context.notes == (UNRECORDED,)
    show_notes(context)
    assert capsys.readouterr().err == f"Note: {UNRECORDED}\n"
    shutil.copy(here / "photos/a/00.png", here / "photos/a/000.png")
    with pytest.raises(InputError, match="divided 12 images, and data set 'folder' has 13 now"):
        reopen_context(RunFolder(here / "run"), PLUGINS)


def test_a_damaged_record_is_refused(here):
    path = here / "run" / "data.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps({**entries, "place": None}))
    with pytest.raises(InputError, match=r"data\.json' is damaged"):
        reopen_context(RunFolder(here / "run"), PLUGINS)
    path.write_text("{")
    with pytest.raises(InputError, match=r"data\.json' is damaged: it is not JSON"):
        reopen_context(RunFolder(here / "run"), PLUGINS)


def test_images_of_a_program_are_compared_in_the_same_way(tmp_path):
    pixels = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def given(pixels):
        return add_objects(PLUGINS, {"dataset": (PROGRAM, InMemorySource(images=to_image_data((pixels, [0, 1] * 6))))})

    begin(tmp_path / "run", PROGRAM, given(pixels), flips=False)
    assert reopen_context(RunFolder(tmp_path / "run"), given(pixels)).record is not None
    pixels[7, 0, 0, 0] ^= 1
    with pytest.raises(InputError, match=r"\(changed: number 7\)\. Hand over the same ones, in the same order"):
        reopen_context(RunFolder(tmp_path / "run"), given(pixels))


@pytest.mark.parametrize("name", ["folder:\udce9", "folder:photos\udce9"])
def test_a_path_that_no_recipe_can_hold_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="must be text in UTF-8"):
        begin(tmp_path / "run", name)


def test_a_root_may_begin_with_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    roots = []
    monkeypatch.setattr(Folder, "load", lambda self, location, root, download: roots.append(root))
    composition = compose(PLUGINS, resolve(PLUGINS, [{"data": {"name": "folder:photos", "root": "~/data"}}]))
    load_data(composition)
    load_data(composition, root="~/other")
    assert roots == [tmp_path / "data", tmp_path / "other"]


def test_properties_of_the_images_are_said_at_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "photos" / "train", 0)
    shutil.copytree(tmp_path / "photos" / "train", tmp_path / "photos" / "test")
    (tmp_path / "photos" / "train" / "a" / "notes.txt").write_text("")
    context = begin(tmp_path / "run")
    assert context.notes[0] == "Passed over in 'photos': files: 1 .txt."
    (leak,) = context.leaks
    assert (
        "12 of 12 test images are copies of training images, pixel by pixel (first: test/a/00.png, equal to tr" in leak
    )
    said: list[str] = []
    show_notes(context, said.append)
    assert said == [f"Warning: {leak}", *(f"Note: {note}" for note in context.notes)]
    result = write_result(context, "running", [])
    assert (result["leaks"], result["notes"][0]) == ([leak], leak)
    assert reopen_context(RunFolder(tmp_path / "run"), PLUGINS).leaks == context.leaks
    for path in (tmp_path / "photos").glob("*/*/*.png"):
        Image.new("RGB", (8, 8), (int(path.stem), 7, 0)).save(path)
    assert begin(tmp_path / "other").notes[-1] == (
        "Channel 1 and 2 of the training images have one value everywhere (0.027, 0.000 of 1), which tells nothing."
    )


def test_nearly_equal_images_are_looked_for_where_that_takes_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "photos" / "train", 0, side=32)
    paint(tmp_path / "photos" / "test", 1, side=32)
    darker = Image.open(tmp_path / "photos/train/b/03.png").point(lambda value: value // 2)
    darker.save(tmp_path / "photos/test/b/03.png")
    context = begin(tmp_path / "run", size=32)
    assert (context.leaks, context.notes) == ((), ())
    closely = look_closely(context)
    (leak,) = closely.leaks
    assert attrs.evolve(closely.record, leaks=()) == context.record
    assert closely.overview is None
    assert "(first: test/b/03.png, nearly equal to train/b/03.png)" in leak
    monkeypatch.setattr(runs_data, "MOST_LOOKED_AT_CLOSELY", 23)
    context = look_closely(begin(tmp_path / "other", size=32))
    assert context.leaks == ()
    assert context.notes[-1].startswith("Nearly equal images were not looked for, because there are more than 23")


def test_names_of_files_that_are_not_utf8_are_shown_with_escapes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "photos", 0)
    odd = tmp_path / "photos" / "a" / "caf\udce9\n.png"
    Image.new("RGBA", (8, 8)).save(odd, "PNG")
    notes = begin(tmp_path / "run").notes
    assert notes[0].endswith(r"(first: a/caf\udce9\n.png).")
    assert all(note.isprintable() for note in notes)
    assert reopen_context(RunFolder(tmp_path / "run"), PLUGINS).record.notes == notes
    odd.unlink()
    with pytest.raises(InputError, match=r"removed: a/caf\\udce9\\n\.png"):
        reopen_context(RunFolder(tmp_path / "run"), PLUGINS)
    odd.write_bytes(b"")
    with pytest.raises(InputError, match=r"a/caf\\udce9\\n\.png cannot be read"):
        begin(tmp_path / "other")


def test_a_folder_for_validation_becomes_that_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, split in enumerate(("train", "val", "test")):
        paint(tmp_path / "photos" / split, seed)
    context = begin(tmp_path / "run")
    own = [index for index, name in enumerate(context.data.train.names) if name.startswith("val/")]
    assert context.splits.validation.tolist() == own
    assert len(context.splits.train) == len(context.splits.test) == 12
    note = "12 images are the validation split, as the data set has it; data.validation, the share to hold out for it,"
    assert any(text.startswith(note) for text in context.notes)
    assert reopen_context(RunFolder(tmp_path / "run"), PLUGINS).splits.validation.tolist() == own
    (tmp_path / "photos/val/a/00.png").rename(tmp_path / "photos/train/a/new.png")
    with pytest.raises(InputError, match=r"added: train/a/new\.png; removed: val/a/00\.png"):
        reopen_context(RunFolder(tmp_path / "run"), PLUGINS)


def test_a_run_of_a_version_that_passed_over_validation_images_still_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, split in enumerate(("train", "val", "test")):
        paint(tmp_path / "photos" / split, seed)
    begin(tmp_path / "run", size=8, own_validation=False)
    folder = RunFolder(tmp_path / "run")
    sections = folder.recipe()
    for name in ("own_validation", "skip_damaged"):  # as earlier versions have written it
        del sections["data"][name]
    (folder.path / "recipe.toml").write_text(tomli_w.dumps(sections))
    entries = json.loads(folder.data.read_text())
    folder.data.write_text(
        json.dumps({name: value for name, value in entries.items() if name not in ("skipped", CHECKSUM)})
    )
    context = reopen_context(folder, PLUGINS)
    assert (len(context.data.train), context.data.validation, context.record.skipped) == (12, None, ())


def test_crops_of_originals_stay_so_and_those_of_squares_of_an_earlier_version_too(here):
    begin(here / "original", memory=0)
    folder = RunFolder(here / "original")
    assert reopen_context(folder, PLUGINS).data.train.has_originals
    sections = folder.recipe()
    del sections["data"]["crops"]  # as earlier versions have written it
    (folder.path / "recipe.toml").write_text(tomli_w.dumps(sections))
    assert not reopen_context(folder, PLUGINS).data.train.has_originals


def test_images_that_were_skipped_are_recorded_and_are_skipped_again(here):
    photos = here / "photos"
    whole = (photos / "b/05.png").read_bytes()
    (photos / "b/05.png").write_bytes(whole[:50])
    for memory in (0, 2048):
        begun = begin(here / f"memory{memory}", size=8, memory=memory, skip_damaged=True)
        assert begun.record.skipped == (str(Path("photos/b/05.png")),)
        assert any("1 image that cannot be read was left out" in text for text in begun.notes)
        context = reopen_context(RunFolder(here / f"memory{memory}"), PLUGINS)
        assert context.record.skipped == begun.record.skipped
        assert "b/05.png" not in context.record.train.names
    (photos / "b/05.png").write_bytes(whole)
    with pytest.raises(InputError, match=r"\(added: b/05\.png\)"):
        reopen_context(RunFolder(here / "memory0"), PLUGINS)
    (photos / "b/05.png").unlink()
    assert len(reopen_context(RunFolder(here / "memory0"), PLUGINS).data.train) == 11


def test_a_data_set_of_hugging_face_is_found_from_another_directory(here, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    images = [{"bytes": path.read_bytes(), "path": None} for path in sorted((here / "photos").rglob("*.png"))]
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["b", "a"])})
    table = datasets.Dataset.from_dict({"image": images, "label": [1] * 6 + [0] * 6}, features=kinds)
    table.save_to_disk("saved")
    begin(here / "hf", "hf:saved")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    context = reopen_context(RunFolder(here / "hf"), PLUGINS)
    assert context.data.classes == ("b", "a")
    images[3] = images[4]
    datasets.Dataset.from_dict({"image": images, "label": [1] * 6 + [0] * 6}, features=kinds).save_to_disk(here / "new")
    shutil.rmtree(here / "saved")
    (here / "new").rename(here / "saved")
    with pytest.raises(InputError, match=r"\(changed: train\[3\]\)"):
        reopen_context(RunFolder(here / "hf"), PLUGINS)
