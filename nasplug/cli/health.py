"""What a search needs of a machine: each thing looked at, whether it is well, and what would mend it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from nasplug.cli.plugins import conflicts
from nasplug.errors import InputError
from nasplug.plugins import Plugin, Plugins

Health = Literal["ok", "note", "problem"]

SMALLEST_DISK = 2 * 2**30
"""Bytes that a run of the paper's size may fill with checkpoints and networks."""


@attrs.frozen
class Finding:
    """One thing that was looked at."""

    subject: str
    health: Health
    found: str
    remedy: str = ""


def findings(plugins: Plugins, folder: Path) -> Iterator[Finding]:
    """Everything worth knowing before a run in `folder`, from the ground up."""
    yield from _python()
    yield from _packages()
    yield from _device()
    yield _disk(folder)
    yield from _plugins(plugins)


def _python() -> Iterator[Finding]:
    present = platform.python_version()
    wanted = metadata.metadata("nasplug")["Requires-Python"] or ""
    if SpecifierSet(wanted).contains(present, prereleases=True):
        yield Finding("Python", "ok", present)
    else:
        yield Finding(
            "Python", "problem", f"{present}, outside {wanted}", f"Use Python {wanted}: uv venv --python 3.12"
        )


def _packages() -> Iterator[Finding]:
    """What nasplug requires, by what is installed; extras that are missing are worth a note."""
    requirements = [Requirement(line) for line in metadata.requires("nasplug") or ()]
    for each in requirements:
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            yield from _package(each, "problem", "nasplug")
    extras = metadata.metadata("nasplug").get_all("Provides-Extra") or []
    for extra in extras:
        of_extra = [each for each in requirements if each.marker and _only_in(each, extra)]
        lacking = [each.name for each in of_extra if _version(each.name) is None]
        if lacking:
            yield Finding(
                f"extra {extra}", "note", f"not complete: lacks {', '.join(lacking)}", f"pip install 'nasplug[{extra}]'"
            )
        else:
            for each in of_extra:
                yield from _package(each, "problem", f"nasplug[{extra}]")


def _only_in(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _package(requirement: Requirement, health: Health, of: str) -> Iterator[Finding]:
    """What is wrong with one package; the two that everything stands on are named in any case."""
    found = _version(requirement.name)
    remedy = f"pip install '{requirement.name}{requirement.specifier}', which {of} needs"
    if found is None:
        yield Finding(requirement.name, health, "not installed", remedy)
    elif not requirement.specifier.contains(found, prereleases=True):
        yield Finding(requirement.name, health, f"{found}, outside {requirement.specifier}", remedy)
    elif requirement.name in ("torch", "torchvision"):
        try:
            importlib.import_module(requirement.name)
        except Exception as error:
            # Whatever a broken binary raises: that it cannot be imported is the finding.
            words = " ".join(str(error).split())[:200]
            again = "pip install --force-reinstall torch torchvision, both from the same index"
            yield Finding(requirement.name, health, f"{found} cannot be imported: {words}", again)
        else:
            yield Finding(requirement.name, "ok", found)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _device() -> Iterator[Finding]:
    try:
        import torch
    except Exception:
        # Said above.
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("CPU", "ok", f"{cores} cores, {platform.processor() or platform.machine()}")
    if not torch.cuda.is_available():
        if torch.version.cuda is None:
            yield Finding(
                "CUDA",
                "note",
                "this torch is built without it; runs use the CPU",
                "For a GPU, install a CUDA build of torch.",
            )
        elif shutil.which("nvidia-smi") is None:
            yield Finding(
                "CUDA", "note", f"no NVIDIA driver found (torch has CUDA {torch.version.cuda}); runs use the CPU"
            )
        else:
            yield Finding(
                "CUDA",
                "problem",
                f"there is a driver, but torch cannot use it (torch has CUDA {torch.version.cuda})",
                "Compare nvidia-smi's CUDA version with torch's; upgrade the driver, or install a torch that fits it.",
            )
        yield Finding("precision", "ok", "float32 (bf16 is the default on CUDA)")
        return
    for number in range(torch.cuda.device_count()):
        known = torch.cuda.get_device_properties(number)
        memory = f"{known.total_memory / 2**30:.0f} GiB, compute capability {known.major}.{known.minor}"
        yield Finding(f"cuda:{number}", "ok", f"{known.name}, {memory}")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        yield Finding("precision", "ok", "bf16 in hardware, the default on CUDA")
    else:
        yield Finding("precision", "note", "this GPU has no bf16", "Use --precision float32, which is faster there.")


def _unmet(distribution: str) -> Iterator[Finding]:
    """What an installed plugin requires and does not find; of nasplug itself that was said before."""
    if distribution == "nasplug" or _version(distribution) is None:
        return
    for line in metadata.requires(distribution) or ():
        try:
            each = Requirement(line)
        except InvalidRequirement:
            yield Finding(distribution, "note", f"its requirement '{line}' cannot be read", "Tell its author.")
            continue
        needed = each.marker is None or each.marker.evaluate({"extra": ""})
        if needed and each.name not in ("torch", "torchvision"):
            yield from _package(each, "problem", distribution)


def _unusable(plugins: Plugins, plugin: Plugin) -> Iterator[Finding]:
    """What a plugin registers and cannot deliver."""
    for one in plugin.registers:
        try:
            plugins.resolve(one)
        except InputError as error:
            yield Finding(
                f"{one.slot} {one.name}", "problem", str(error), f"Upgrade {plugin.distribution}, or mend it."
            )


def _disk(folder: Path) -> Finding:
    place = folder.resolve()
    free = shutil.disk_usage(place).free
    words = f"{free / 2**30:.1f} GiB free in '{place}'"
    if not os.access(place, os.W_OK):
        return Finding(
            "disk", "problem", f"'{place}' cannot be written to", "Go to another folder, or name one with --out."
        )
    if free < SMALLEST_DISK:
        return Finding("disk", "problem", words, "Free some space, or put runs on another disk with --out.")
    return Finding("disk", "ok", words)


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    for one in plugins.all:
        subject = f"plugin {one.distribution}"
        if one.status == "active":
            yield Finding(subject, "ok", f"{one.version}, works with nasplug {one.supports or '(any)'}")
            yield from _unmet(one.distribution)
            yield from _unusable(plugins, one)
        else:
            health: Health = "problem" if one.status == "broken" else "note"
            yield Finding(subject, health, f"{one.version} is {one.status}. {one.reason}", one.remedy)
    for conflict in conflicts(plugins):
        yield Finding("names", "note", conflict)
