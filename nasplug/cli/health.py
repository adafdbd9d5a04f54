"""What a run needs of a machine: each requirement, whether it is met, and a remedy if it is not."""

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

from nasplug.cli.plugins import describe_conflicts
from nasplug.errors import InputError
from nasplug.plugins import Plugin, Plugins
from nasplug.values.cores import count_cores

Health = Literal["ok", "note", "problem"]

SMALLEST_DISK = 2 * 2**30
"""Bytes that a run of the paper's size may fill with checkpoints and networks."""


@attrs.frozen
class Finding:
    """One thing that was checked."""

    subject: str
    health: Health
    found: str
    remedy: str = ""


def examine_machine(plugins: Plugins, folder: Path) -> Iterator[Finding]:
    """Checks Python, packages, devices, disk and plugins before a run in `folder`."""
    yield from _check_python()
    yield from _check_packages()
    yield from _check_device()
    yield _check_disk(folder)
    yield from _check_plugins(plugins)


def _check_python() -> Iterator[Finding]:
    present = platform.python_version()
    required = metadata.metadata("nasplug")["Requires-Python"] or ""
    if SpecifierSet(required).contains(present, prereleases=True):
        yield Finding("Python", "ok", present)
    else:
        yield Finding(
            "Python", "problem", f"{present}, outside {required}", f"Use Python {required}: uv venv --python 3.12"
        )


def _check_packages() -> Iterator[Finding]:
    """What nasplug requires, by what is installed; extras that are missing are worth a note."""
    requirements = [Requirement(line) for line in metadata.requires("nasplug") or ()]
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _check_package(requirement, "problem", "nasplug")
    extras = metadata.metadata("nasplug").get_all("Provides-Extra") or []
    for extra in extras:
        of_extra = [requirement for requirement in requirements if _is_only_in(requirement, extra)]
        lacking = [requirement.name for requirement in of_extra if find_version(requirement.name) is None]
        if lacking:
            yield Finding(
                f"extra {extra}", "note", f"not complete: lacks {', '.join(lacking)}", f"pip install 'nasplug[{extra}]'"
            )
        else:
            for requirement in of_extra:
                yield from _check_package(requirement, "problem", f"nasplug[{extra}]")


def _is_only_in(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _check_package(requirement: Requirement, health: Health, of: str) -> Iterator[Finding]:
    """What is wrong with one package; torch and torchvision are named in any case."""
    found = find_version(requirement.name)
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


def find_version(distribution: str) -> str | None:
    """The version of an installed distribution; None if it is not installed. Nothing of it is imported."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _check_device() -> Iterator[Finding]:
    try:
        import torch
    except Exception:
        # Reported with the packages.
        return
    yield Finding("CPU", "ok", f"{count_cores()} cores, {platform.processor() or platform.machine()}")
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


def _check_requirements(distribution: str) -> Iterator[Finding]:
    """What an installed plugin requires and does not find; of nasplug itself that was said before."""
    if distribution == "nasplug" or find_version(distribution) is None:
        return
    for line in metadata.requires(distribution) or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            yield Finding(distribution, "note", f"its requirement '{line}' cannot be read", "Tell its author.")
            continue
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and requirement.name not in ("torch", "torchvision"):
            yield from _check_package(requirement, "problem", distribution)


def _check_registrations(plugins: Plugins, plugin: Plugin) -> Iterator[Finding]:
    """What a plugin registers and cannot deliver."""
    for registration in plugin.registers:
        try:
            plugins.resolve(registration)
        except InputError as error:
            yield Finding(
                f"{registration.slot} {registration.name}",
                "problem",
                str(error),
                f"Upgrade {plugin.distribution}, or fix it.",
            )


def _check_disk(folder: Path) -> Finding:
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


def _check_plugins(plugins: Plugins) -> Iterator[Finding]:
    for plugin in plugins.all:
        subject = f"plugin {plugin.distribution}"
        if plugin.status == "active":
            yield Finding(subject, "ok", f"{plugin.version}, works with nasplug {plugin.supports or '(any)'}")
            yield from _check_requirements(plugin.distribution)
            yield from _check_registrations(plugins, plugin)
        else:
            health: Health = "problem" if plugin.status == "broken" else "note"
            yield Finding(subject, health, f"{plugin.version} is {plugin.status}. {plugin.reason}", plugin.remedy)
    for conflict in describe_conflicts(plugins):
        yield Finding("names", "note", conflict)
