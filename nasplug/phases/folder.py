"""The run folder: a contract that other programs read. Its layout is documented in docs/reference/run-folder.md."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from nasplug.checkpoint import write_atomically
from nasplug.compose.layers import RECORDED
from nasplug.errors import InputError


@attrs.frozen
class RunFolder:
    """Paths and small files of one run."""

    path: Path

    @classmethod
    def create(cls, path: Path | None) -> RunFolder:
        """A new folder: `path`, or the next numbered one under `runs/`. InputError if `path` is already in use."""
        if path is None:
            path = next(each for number in range(1, 1_000_000) if not (each := Path(f"runs/{number:03d}")).exists())
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(
                f"'{path}' exists already and is not an empty folder; continue a run there with "
                f"'nasplug resume {path}', or name another folder with --out."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The run folder '{path}' cannot be made: {error.strerror}.") from error
        return cls(path)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of a run that was started before; InputError if there is none."""
        if not (path / "recipe.toml").is_file():
            raise InputError(
                f"'{path}' is no run folder: it has no recipe.toml. 'nasplug run --out {path}' starts a run."
            )
        return cls(path)

    def discard_if_empty(self) -> None:
        """Removes the folder again if nothing was written."""
        if not any(self.path.iterdir()):
            self.path.rmdir()

    @property
    def events(self) -> Path:
        """The events of all phases, one JSON object per line."""
        return self.path / "events.jsonl"

    @property
    def splits(self) -> Path:
        """The indices of every split."""
        return self.path / "splits.safetensors"

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

    def done(self, name: str) -> dict[str, Any] | None:
        """What a finished phase recorded, or None for one that is not finished."""
        path = self.phase(name) / "done.json"
        return read_json(path) if path.is_file() else None

    def finish(self, name: str, record: Mapping[str, Any]) -> None:
        """Marks a phase as finished; `resume` will not run it again."""
        write_json(self.phase(name) / "done.json", record)

    def recipe(self) -> dict[str, Any]:
        """The sections of `recipe.toml`."""
        try:
            return tomllib.loads((self.path / "recipe.toml").read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"The recipe in '{self.path}' cannot be read: {error}.") from error

    def recipe_layer(self) -> dict[str, Any]:
        """The sections of `recipe.toml` that decide a run, without those kept for the record."""
        return {name: section for name, section in self.recipe().items() if name not in RECORDED}

    def write_recipe(self, sections: Mapping[str, Any]) -> None:
        """Writes `recipe.toml`."""
        write_atomically(self.path / "recipe.toml", tomli_w.dumps(sections).encode())

    def result(self) -> dict[str, Any]:
        """What `result.json` holds; InputError if the run has none yet."""
        return read_json(self.path / "result.json")

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Replaces `result.json`."""
        write_json(self.path / "result.json", result)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; InputError if it is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"'{path}' is damaged: it is not JSON ({error}).") from error
    if not isinstance(data, dict):
        raise InputError(f"'{path}' is damaged: it holds {type(data).__name__}, not an object.")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replaces a file by a JSON object."""
    write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())
