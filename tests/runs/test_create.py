"""A run folder is there whole or not at all, whatever ends its start."""

from __future__ import annotations

import pytest
import torch

from nasplug.compose import resolve
from nasplug.data.in_memory import InMemorySource, to_image_data
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import PROGRAM, add_objects
from nasplug.runs.create import new_folder, start
from nasplug.runs.data import read_data_record
from nasplug.store.lock import AlreadyRunning
from nasplug.store.run_folder import RunFolder
from nasplug.store.run_state import is_run
from nasplug.values.checksum import recipe_was_changed


def test_a_run_starts_with_what_a_close_look_at_its_images_tells(tmp_path):
    pixels = torch.randint(0, 200, (24, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[12:] = pixels[:12] + 9
    source = InMemorySource(images=to_image_data((pixels, [0, 1] * 12)))
    plugins = add_objects(load_plugins(), {"dataset": (PROGRAM, source)})
    layer = {"run": {"method": "random", "preset": "tiny", "device": "cpu"}, "data": {"name": PROGRAM}}
    context = start(tmp_path / "run", plugins, resolve(plugins, [layer]), [])
    assert any("test images are nearly equal to training images" in leak for leak in context.leaks)
    assert read_data_record(context.folder) == context.record


@pytest.mark.parametrize("error", [InputError("no"), ZeroDivisionError(), KeyboardInterrupt(), SystemExit(1)])
def test_nothing_is_left_of_a_start_that_breaks_off(tmp_path, error):
    def begin():
        with new_folder(tmp_path / "deep" / "run") as folder:
            folder.splits.write_bytes(b"1")
            raise error

    with pytest.raises(type(error)):
        begin()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_start_has_left_is_used_again(tmp_path):
    out = tmp_path / "run"
    folder = RunFolder.create(out)
    folder.begin()
    folder.splits.write_bytes(b"half")
    folder.phase("teacher").mkdir(parents=True)
    with new_folder(out) as again:
        assert sorted(path.name for path in out.iterdir()) == ["lock", "unfinished-start"]
        (again.path / "recipe.toml").touch()
    assert sorted(path.name for path in out.iterdir()) == ["lock", "recipe.toml"]
    with pytest.raises(InputError, match=r"exists already .* 'nasplug resume"), new_folder(out):
        pass


def test_a_recipe_alone_makes_no_run_where_a_start_was_killed(tmp_path):
    out = tmp_path / "run"
    folder = RunFolder.create(out)
    folder.begin()
    (out / "recipe.toml").touch()
    assert not is_run(out)
    with pytest.raises(InputError, match=r"ended before its start was complete.*once more"):
        RunFolder.existing(out)
    with new_folder(out):
        assert not (out / "recipe.toml").exists()
        (out / "recipe.toml").touch()
    assert is_run(out)
    assert RunFolder.existing(out).path == out


def test_a_start_that_is_under_way_and_files_of_others_are_left_alone(tmp_path):
    with new_folder(tmp_path / "run") as folder:
        folder.splits.write_bytes(b"1")
        with pytest.raises(AlreadyRunning), new_folder(tmp_path / "run"):
            pass
        assert folder.splits.is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "table.csv").touch()
    with pytest.raises(InputError, match="not an empty folder"), new_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine" / "table.csv").exists()


def test_a_killed_start_between_its_first_two_files_blocks_nothing(tmp_path):
    (tmp_path / "lock").write_text("12345")
    with new_folder(tmp_path) as folder:
        assert folder.unfinished.is_file()


def test_hints_quote_paths_with_spaces(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "recipe.toml").touch()
    with pytest.raises(InputError) as refusal:
        RunFolder.create(folder)
    assert f"nasplug resume '{folder}'" in str(refusal.value)


@pytest.mark.slow
def test_options_of_the_machine_are_changed_for_good(here, few_images, tmp_path):
    run = tmp_path / "run"
    words = ("--method", "random", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--set", "retrain.epochs=1")
    words += ("--set", "select.networks=1", "--set", "select.random=0", "--set", "data.validation=0")
    assert here("run", *words, "--data", f"arrays:{few_images}", "--out", run).exit_code == 0
    path = run / "recipe.toml"
    path.write_text(path.read_text().replace('device = "auto"', 'device = "cuda:7"'))

    refused = here("resume", run)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Use --device cpu" in refused.stderr
    assert here("resume", run, "--device", "nowhere").exit_code == 2
    assert here("resume", run, "--jobs", "0").exit_code == 2
    assert RunFolder(run).recipe()["run"]["device"] == "cuda:7"

    done = here("resume", run, "--device", "cpu", "--threads", "1", "--jobs", "2")
    assert done.exit_code == 0, done.output
    changed = RunFolder(run).recipe()["run"]
    assert (changed["device"], changed["threads"], changed["jobs"]) == ("cpu", 1, 2)
    assert "was changed since the run was started" in done.stderr
    assert recipe_was_changed(RunFolder(run).recipe())
