"""The run folder: a contract that other programs read. Its layout is documented in docs/reference/run-folder.md."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from nasplug.compose.layers import RECORDED, SECTIONS
from nasplug.errors import InputError, command, quote
from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, read_file
from nasplug.formats.toml_text import parse_toml
from nasplug.store.files import write_atomically
from nasplug.store.lock import LOCK
from nasplug.store.run_state import RECIPE, UNFINISHED, is_run
from nasplug.values.checksum import CHECKSUM, checksum_object, checksum_recipe, is_intact
from nasplug.values.recipe import LATER_SLOTS, SLOTS

DECISIVE = f"the options of {', '.join(SLOTS)} or search, the seed or the precision"
"""What the digest of a recipe covers, for messages."""
LONGEST_LOCK = 32
"""Bytes that are more than any lock file holds."""


@attrs.frozen
class RunFolder:
    """Paths and small files of one run."""

    path: Path
    made: tuple[Path, ...] = attrs.field(default=(), eq=False, repr=False)
    """The folders that `create` made for it, innermost first."""

    def __reduce__(self) -> tuple[type[RunFolder], tuple[Path]]:
        """Another process, to which this is pickled, may work in another directory."""
        return RunFolder, (self.path.absolute(),)

    @classmethod
    def create(cls, path: Path | None) -> RunFolder:
        """A new folder: `path`, or the next numbered one under `runs/`. InputError if `path` is already in use."""
        if path is None:
            numbered = (Path(f"runs/{number:03d}") for number in range(1, 1_000_000))
            path = next(folder for folder in numbered if not folder.exists())
        elif os.path.lexists(path) and (not path.is_dir() or not cls(path)._is_free()):
            resume = f"continue the run there with '{command('resume', path)}', or " if is_run(path) else ""
            raise InputError(
                f"{quote(path)} exists already and is not an empty folder; {resume}name another folder with --out."
            )
        try:
            made = tuple(folder for folder in (path, *path.parents) if not folder.exists())
            # A folder that was not there must be made here: another run that starts at this moment may want it too.
            path.mkdir(parents=True, exist_ok=path not in made)
        except FileExistsError as error:
            raise InputError(f"{quote(path)} was taken by another run just now; start again.") from error
        except OSError as error:
            raise InputError(f"The run folder {quote(path)} cannot be made: {error.strerror}.") from error
        return cls(path, made)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of a run that was started before; InputError if there is none."""
        if cls(path).unfinished.is_file():
            raise InputError(
                f"The run in {quote(path)} was ended before its start was complete, so there is nothing to go on with; "
                f"give the command that started it once more."
            )
        if not is_run(path):
            raise InputError(
                f"{quote(path)} is no run folder: it has no recipe.toml. Name the folder of a run; "
                f"'nasplug run --out FOLDER' starts one."
            )
        return cls(path)

    def begin(self) -> None:
        """Marks a new run as unfinished, and removes what one that got no further has left in its folder."""
        self.unfinished.touch()
        self._clear(keep=(self.unfinished, self.lock))

    def _is_free(self) -> bool:
        """Whether nothing is in the folder that anybody might want."""
        if self.unfinished.is_file():
            return True
        # A process that is killed may have made the lock and nothing else.
        return all(entry == self.lock and entry.stat().st_size < LONGEST_LOCK for entry in self.path.iterdir())

    def refuse_links(self) -> None:
        """Raises InputError if anything in it is a symbolic link: what writes in a run must write nowhere else."""
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    raise InputError(
                        f"'{path}' is a symbolic link, and nasplug writes only to what lies in the run folder itself; "
                        f"put what it points to in its place, or remove it."
                    )

    def discard(self) -> None:
        """Removes the folders that `create` made and everything in them: the folder was new or empty."""
        self._clear()
        for folder in self.made:
            with suppress(OSError):  # another run may have begun beside this one meanwhile
                folder.rmdir()

    def _clear(self, keep: Collection[Path] = ()) -> None:
        for entry in self.path.iterdir():
            if entry not in keep:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    @property
    def events(self) -> Path:
        """The events of all phases, one JSON object per line."""
        return self.path / "events.jsonl"

    @property
    def lock(self) -> Path:
        """The file that the process which carries out the run has locked."""
        return self.path / LOCK

    @property
    def unfinished(self) -> Path:
        """The file that marks a folder in which the first files of a run are not complete."""
        return self.path / UNFINISHED

    @property
    def splits(self) -> Path:
        """The indices of every split."""
        return self.path / "splits.safetensors"

    @property
    def data(self) -> Path:
        """The record of the images that the run was started with."""
        return self.path / "data.json"

    def phase(self, name: str) -> Path:
        """The folder of a phase such as "search" or "retrain/ID"."""
        return self.path / "phases" / name

    def checkpoint(self, name: str) -> Path:
        """Where a phase that is under way keeps its state."""
        return self.phase(name) / "checkpoint.safetensors"

    def weights(self, name: str) -> Path:
        """The weights of a retrained network."""
        return self.path / "weights" / f"{name}.safetensors"

    @property
    def teacher(self) -> Path:
        """The weights of the teacher's network."""
        return self.phase("teacher") / "network.safetensors"

    @property
    def pretrained_teacher(self) -> Path:
        """The weights that the fine-tuning of a pretrained teacher starts from."""
        return self.phase("teacher") / "pretrained.safetensors"

    @property
    def table(self) -> Path:
        """The table in which networks are looked up instead of training them."""
        return self.path / "table.csv"

    def done(self, name: str) -> dict[str, Any] | None:
        """What a finished phase recorded, or None for one that is not finished; InputError if the record is damaged."""
        path = self.phase(name) / "done.json"
        if not path.is_file():
            return None
        remedy = f"restore it from a copy of the run, or remove it, and 'nasplug resume {self.path}' repeats the phase"
        record = read_json(path, remedy)
        check_object(record, path, remedy)
        return {entry: value for entry, value in record.items() if entry != CHECKSUM}

    def finish(self, name: str, record: Mapping[str, Any]) -> None:
        """Marks a phase as finished; `resume` will not run it again."""
        write_checked_json(self.phase(name) / "done.json", record)

    def recipe(self) -> dict[str, Any]:
        """The sections of `recipe.toml`; InputError if it is damaged.

        A recipe that has lost a section is refused: defaults in its place would make another run of it.
        """
        path = self.path / RECIPE
        try:
            sections = parse_toml(decode(read_file(path, "recipe")))
        except InputError as error:
            reason = str(error).rstrip(".")
            raise InputError(f"'{path}' is damaged ({reason}); restore it, or start a new run.") from error
        needed = [name for name in (*SECTIONS, "plugins") if name not in LATER_SLOTS or name in sections]
        lost = [name for name in needed if not isinstance(sections.get(name), dict)]
        if lost:
            raise InputError(f"'{path}' is damaged: it lacks the section '{lost[0]}'; restore it, or start a new run.")
        return sections

    def recipe_layer(self) -> dict[str, Any]:
        """The sections of `recipe.toml` that decide a run, without those kept for the record."""
        return {name: section for name, section in self.recipe().items() if name not in RECORDED}

    def write_recipe(self, sections: Mapping[str, Any], *, was_changed: bool = False) -> None:
        """Writes `recipe.toml`, with the digest that `check_recipe` compares and a checksum of everything.

        Where a user had changed the file from which the sections are (`was_changed`), the checksum goes on saying so.
        """
        environment = {**sections.get("environment", {}), "digest": _digest(sections)}
        content = tomllib.loads(tomli_w.dumps({**sections, "environment": environment}))
        if not was_changed:
            content["environment"][CHECKSUM] = checksum_recipe(content)
        write_atomically(self.path / RECIPE, tomli_w.dumps(content).encode())

    def check_recipe(self) -> None:
        """Raises InputError if what a search depends on was changed since the run was started."""
        sections = self.recipe()
        known = sections.get("environment", {}).get("digest")
        if known is not None and known != _digest(sections):
            raise InputError(
                f"'{self.path / 'recipe.toml'}' was changed since the run was started, in {DECISIVE}; what has been "
                f"trained depends on them, so put back what it said, or start a new run: "
                f"{command('run', '--config', self.path / 'recipe.toml')}"
            )

    def result(self) -> dict[str, Any]:
        """What `result.json` holds; InputError if the run has none yet or it is damaged."""
        path = self.path / "result.json"
        content = read_json(path)
        check_object(content, path, f"'nasplug resume {self.path}' writes it again")
        return content

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Replaces `result.json`."""
        write_checked_json(self.path / "result.json", result)


def _digest(sections: Mapping[str, Any]) -> str:
    """The digest of everything that decides a search. Options of later phases may be changed during a run."""
    decisive = {name: sections[name] for name in (*SLOTS, "search") if name not in LATER_SLOTS or name in sections}
    if sections.get("budget", {}).get("weight"):  # then limits are a part of the loss
        decisive["budget"] = sections["budget"]
    decisive["run"] = {name: sections["run"].get(name) for name in ("seed", "precision")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def read_json(path: Path, remedy: str = "restore it from a copy of the run") -> dict[str, Any]:
    """A JSON object from a file; InputError, with the remedy, if it is missing or damaged."""
    try:
        return parse_object(decode(read_file(path, "file")))
    except FormatError as error:
        raise InputError(f"{quote(path)} is damaged: {error}; {remedy}.") from error
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}; {remedy}.") from error


def check_object(content: Mapping[str, Any], path: Path, remedy: str) -> None:
    """Raises InputError if an object does not match its checksum."""
    if not is_intact(content):
        raise InputError(f"'{path}' is damaged: its content does not match its checksum; {remedy}.")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replaces a file by a JSON object."""
    write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())


def write_checked_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replaces a file by a JSON object with a checksum of its entries."""
    content = json.loads(json.dumps(data))  # as it will be read
    write_json(path, {**content, CHECKSUM: checksum_object(content)})
