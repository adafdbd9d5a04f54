"""One plugin: what is known before it is loaded, and the result of loading it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import attrs
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nasplug.register import Registration

HOST = "nasplug"
"""The distribution for which plugins declare a range of supported versions."""

Status = Literal["active", "disabled", "broken"]


@attrs.frozen
class Origin:
    """Where a plugin comes from: an entry point of an installed distribution, a file or the folder of a package."""

    name: str
    """The name of its entry point."""
    distribution: str
    version: str
    supports: SpecifierSet | None
    """The versions of nasplug that it declares to support; None if it declares none."""
    value: str
    """What is loaded, for messages: "package.hooks", or the path of a file."""
    load: Callable[[], Any] = attrs.field(eq=False, repr=False)
    """Returns the object that implements the hooks, usually a module."""
    path: Path | None = None
    """The file or folder that the user named; None if the plugin is installed."""
    flaw: str = ""
    """A sentence that says what is wrong with its metadata; empty if nothing is."""

    @property
    def range(self) -> str:
        """The versions of nasplug that it supports, lowest bound first; empty if it declares none."""
        bounds = sorted(self.supports or (), key=lambda bound: (_version(bound) or Version("0"), str(bound)))
        return ",".join(map(str, bounds))

    @property
    def label(self) -> str:
        """Its name in messages about its hooks."""
        return f"{self.name} of {self}"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def matches(self, word: str) -> bool:
        """Whether `word` is the name of its distribution or of its entry point."""
        return canonicalize_name(word) in (canonicalize_name(self.name), canonicalize_name(self.distribution))


@attrs.frozen
class Plugin:
    """One plugin of this environment: active, disabled or broken."""

    name: str
    """The name of its entry point."""
    distribution: str
    version: str
    supports: str
    """The versions of nasplug that it declares to support, such as ">=0.1,<0.2"; empty if it declares none."""
    status: Status
    reason: str = ""
    """A sentence that says why it is not active; empty if it is."""
    remedy: str = ""
    """A sentence that says what would fix that."""
    hooks: tuple[str, ...] = ()
    """The hooks that it implements, if it is active."""
    registers: tuple[Registration, ...] = ()
    """What it has registered, if it is active."""
    path: Path | None = None
    """The file or folder that the user named; None if the plugin is installed."""
    resumes: str = ""
    """The versions of the distribution whose runs this version continues, such as ">=0.1,<0.3": the variable `RESUMES`
    of the module with the hooks. Empty if it continues only runs of its own version."""

    def can_resume(self, version: str) -> bool:
        """Whether this version continues runs that were started with `version` of the distribution.

        It continues those of its own version, and those of an earlier one within `resumes`.
        """
        if version == self.version:
            return True
        try:
            earlier = Version(version) < Version(self.version)
        except InvalidVersion:  # the version of a file is a digest of its content
            return False
        return bool(self.resumes) and earlier and SpecifierSet(self.resumes).contains(version, prereleases=True)

    def __str__(self) -> str:
        sentence = (
            f"Plugin '{self.name}' of {self.distribution} {self.version} cannot be used: {self.reason} {self.remedy}"
        )
        return sentence.rstrip()


def supported_range(requirements: Iterable[str] | None) -> SpecifierSet | None:
    """The range of versions of nasplug among the requirements of a package; None if nasplug is not among them.

    A plugin declares the range once, as the requirement that installers read, too. Requirements of extras are ignored.
    """
    for line in requirements or ():
        try:
            requirement = Requirement(line)
            hash(requirement.specifier)  # parses the versions: Python refuses numbers of thousands of digits
        except ValueError:  # InvalidRequirement among them
            continue
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and canonicalize_name(requirement.name) == HOST:
            return requirement.specifier
    return None


def explain_incompatibility(origin: Origin) -> tuple[str, str] | None:
    """Reason and remedy, a sentence each, if a plugin does not support this version of nasplug; None if it does."""
    present = Version(metadata.version(HOST))
    if origin.supports is None or origin.supports.contains(present, prereleases=True):
        return None
    required = f"{HOST}{origin.range}"
    reason = f"It works with {required}, and this is {HOST} {present}."
    lower_bounds = [bound for bound in origin.supports if bound.operator in (">=", ">", "~=", "==", "===")]
    if any((version := _version(bound)) is not None and version > present for bound in lower_bounds):
        return reason, f"Upgrade {HOST}: pip install '{required}'."
    return reason, f"Upgrade {origin.distribution}, or keep it with an earlier {HOST}: pip install '{required}'."


def _version(specifier: Specifier) -> Version | None:
    """The version of a specifier; None if it is not a valid version, which only the operator === allows."""
    try:
        return Version(specifier.version.removesuffix(".*"))
    except InvalidVersion:
        return None
