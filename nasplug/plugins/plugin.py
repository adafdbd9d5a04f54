"""One plugin: what is known of it before it is loaded, and what has become of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nasplug.plugins.register import Registration

HOST = "nasplug"
"""The distribution whose versions plugins state a range of."""

Status = Literal["active", "disabled", "broken"]


@attrs.frozen
class Origin:
    """Where a plugin comes from: an entry point of an installed distribution, a file or the folder of a package."""

    name: str
    """The name of its entry point."""
    distribution: str
    version: str
    supports: SpecifierSet | None
    """The versions of nasplug that it says it works with; None if it says nothing."""
    value: str
    """What is loaded, for messages: "package.hooks", or the path of a file."""
    load: Callable[[], Any] = attrs.field(eq=False, repr=False)
    """Gives the object with the hooks, a module as a rule."""
    path: Path | None = None
    """The file or folder by which a user named it; None if it is installed."""
    flaw: str = ""
    """What is wrong with its metadata, a sentence; empty if nothing is."""

    @property
    def range(self) -> str:
        """The versions that it works with, lowest bound first; empty if it says nothing."""
        bounds = sorted(self.supports or (), key=lambda each: (_bound(each) or Version("0"), str(each)))
        return ",".join(map(str, bounds))

    @property
    def label(self) -> str:
        """What messages about its hooks call it."""
        return f"{self.name} of {self}"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def answers_to(self, word: str) -> bool:
        """Whether a user may mean this plugin by `word`: its distribution or its entry point."""
        return canonicalize_name(word) in (canonicalize_name(self.name), canonicalize_name(self.distribution))


@attrs.frozen
class Plugin:
    """One plugin of this environment, loaded or not."""

    name: str
    """The name of its entry point."""
    distribution: str
    version: str
    supports: str
    """The versions of nasplug that it says it works with, such as ">=0.1,<0.2"; empty if it says nothing."""
    status: Status
    reason: str = ""
    """Why it is not active, a sentence."""
    remedy: str = ""
    """What would mend that, a sentence."""
    hooks: tuple[str, ...] = ()
    """The hooks that it implements, if it is active."""
    registers: tuple[Registration, ...] = ()
    """What it has registered, if it is active."""
    path: Path | None = None
    """The file or folder by which a user named it; None if it is installed."""
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


def supported(requirements: Iterable[str] | None) -> SpecifierSet | None:
    """The range of nasplug among a package's requirements; None if nasplug is not among them.

    A plugin states the range once, as the requirement that an installer reads too; extras say nothing about it.
    """
    for line in requirements or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and canonicalize_name(requirement.name) == HOST:
            return requirement.specifier
    return None


def misfit(origin: Origin) -> tuple[str, str] | None:
    """Reason and remedy if this version of nasplug is outside the range of a plugin; None if it is inside."""
    present = Version(metadata.version(HOST))
    if origin.supports is None or origin.supports.contains(present, prereleases=True):
        return None
    wanted = f"{HOST}{origin.range}"
    reason = f"It works with {wanted}, and this is {HOST} {present}."
    floors = [each for each in origin.supports if each.operator in (">=", ">", "~=", "==", "===")]
    if any((bound := _bound(each)) is not None and bound > present for each in floors):
        return reason, f"Upgrade {HOST}: pip install '{wanted}'."
    return reason, f"Upgrade {origin.distribution}, or keep it with an earlier {HOST}: pip install '{wanted}'."


def _bound(specifier: Specifier) -> Version | None:
    """The version of one bound; None if it is none, which only the operator === allows."""
    try:
        return Version(specifier.version.removesuffix(".*"))
    except InvalidVersion:
        return None
