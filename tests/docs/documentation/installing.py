"""What `pip install` of a page comes to: a folder's entry points become known; names must be this repository's."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
FOREIGN = ("uv",)
"""Packages of others that a page may install."""


def install(words: list[str], site: Path) -> None:
    """Carries out `pip install ...`, as if editable; AssertionError for a name that no package here has."""
    for word in words:
        if word in ("install", "-e", "-q", "-U", "--upgrade"):
            continue
        folder = Path(word.partition("[")[0])
        if not (folder / "pyproject.toml").is_file():
            folder = _of_name(Requirement(word))
        if folder.is_relative_to(ROOT) and _project(folder)["name"] in {each.name for each in distributions()}:
            continue
        _install_folder(folder.resolve(), site)


def _install_folder(folder: Path, site: Path) -> None:
    project = _project(folder)
    name, version = project["name"], project["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    requirements = "".join(f"Requires-Dist: {each}\n" for each in project.get("dependencies", []))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}")
    groups = project.get("entry-points", {})
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in groups.items()
        )
    )
    sys.path[:0] = [str(site), str(folder / "src" if (folder / "src").is_dir() else folder)]


def _of_name(requirement: Requirement) -> Path:
    """The folder of a package of this repository; that of the core for what others make."""
    folders = {
        _project(path)["name"]: path for path in [ROOT, *ROOT.glob("plugins/*"), *ROOT.glob("examples/nasplug-*")]
    }
    if requirement.name in FOREIGN:
        return ROOT
    assert requirement.name in folders, f"nobody here makes a package {requirement.name}"
    extras = _project(folders[requirement.name]).get("optional-dependencies", {})
    assert requirement.extras <= set(extras), f"there is no such extra: {requirement}"
    return folders[requirement.name]


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project
