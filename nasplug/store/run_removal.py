"""Removing a run: what a run has written, and nothing else."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import attrs

from nasplug.errors import InputError, RunFailure, command, quote
from nasplug.store.entries import IDENTIFIER
from nasplug.store.lock import LOCK, AlreadyRunning, is_under_way, lock_folder
from nasplug.store.run_state import RECIPE, is_run

ID = IDENTIFIER.pattern
WRITTEN = re.compile(
    r"(?:recipe\.toml|result\.json|report\.html|events\.jsonl|data\.json|splits\.safetensors|table\.csv|ratings\.json"
    r"|rank\.(?:json|html)|(?:mlflow|wandb)\.json|workers\.token|unfinished-start"
    rf"|genotypes/{ID}\.json|weights/{ID}\.safetensors|exports/{ID}\.[a-z0-9]+"
    r"|phases/(?:[\w-]+/)+(?:(?:checkpoint|network|pretrained)\.safetensors|(?:done|expected_costs)\.json|events\.jsonl))"
    r"(?:\.draft)?"
    r"|lock|phases/(?:[\w-]+/)+lock"
)
"""The paths within a run folder that nasplug writes, as docs/reference/run-folder.md has them."""

FOLDERS = ("genotypes", "weights", "exports", "phases")
"""The folders in which they are."""


@attrs.frozen
class Removal:
    """What is removed of a run, and what stays."""

    folder: Path
    files: tuple[Path, ...]
    """What the run has written."""
    kept: tuple[str, ...]
    """All else in its folder, by path within it: of a folder in which nothing is removed only its own, with a slash."""

    @property
    def size(self) -> int:
        """Bytes of what is removed."""
        return sum(path.lstat().st_size for path in self.files)


def plan_removal(folder: Path) -> Removal:
    """What there is to remove of a run.

    Raises InputError if the folder is none of a run or a symbolic link, and AlreadyRunning if the run or one of its
    phases is under way.
    """
    if folder.is_symlink():
        raise InputError(f"{quote(folder)} is a symbolic link; name the folder to which it leads, or remove the link.")
    if not is_run(folder) or (folder / RECIPE).is_symlink():
        raise InputError(
            f"{quote(folder)} is no run folder: it has no {RECIPE}; '{command('runs', folder)}' lists the runs in it."
        )
    if any(is_under_way(path.parent) for path in (folder / LOCK, *(folder / "phases").rglob(LOCK))):
        raise AlreadyRunning(
            f"The run {quote(folder)} is under way; wait for it, or stop it, before it can be removed."
        )
    files, kept = _divide(folder, folder)
    return Removal(folder, tuple(files), tuple(kept))


def remove_run(removal: Removal) -> None:
    """Removes what a run has written, the recipe last, and its folder if nothing else is there.

    Raises AlreadyRunning if it has begun to go on meanwhile, and RunFailure if a file cannot be removed; the rest can
    then be removed in the same way.
    """
    folder, lock = removal.folder, removal.folder / LOCK
    recipe = folder / RECIPE
    try:
        with lock_folder(folder):
            for path in removal.files:
                if path not in (lock, recipe):
                    path.unlink(missing_ok=True)
            _remove_empty_folders(folder)
            recipe.unlink(missing_ok=True)
            if sys.platform != "win32":  # which removes no open file
                lock.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    except OSError as error:
        raise RunFailure(
            f"{quote(folder)} cannot be removed: {error.strerror} ({quote(error.filename)}); what is left of it can be "
            f"removed in the same way."
        ) from error
    with suppress(OSError):  # something else is there
        folder.rmdir()


def _divide(run: Path, folder: Path) -> tuple[list[Path], list[str]]:
    """The files that a run has written in this folder of it, and the names of all else."""
    files: list[Path] = []
    kept: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = entry.relative_to(run).as_posix()
        if entry.is_symlink():
            kept.append(name)
        elif entry.is_dir():
            below, others = ([], [f"{name}/"]) if is_run(entry) else _divide(run, entry)
            files += below
            is_own = name.partition("/")[0] in FOLDERS and not others  # it is empty, and removed with the run
            kept += others if below or is_own else [f"{name}/"]
        elif WRITTEN.fullmatch(name):
            files.append(entry)
        else:
            kept.append(name)
    return files, kept


def _remove_empty_folders(folder: Path) -> None:
    """Removes the folders of a run that are empty, or hold nothing but such."""
    for name in FOLDERS:
        for inner, _, _ in os.walk(folder / name, topdown=False):
            with suppress(OSError):
                os.rmdir(inner)
