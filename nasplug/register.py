"""What plugins register: names and import paths, without importing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from nasplug.errors import InputError

SLOT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "space": "search space",
        "optimizer": "architecture optimizer",
        "schedule": "pruning schedule",
        "teacher": "teacher",
        "selector": "selector",
        "dataset": "data set",
        "cost": "cost measure",
        "reference": "reference network",
        "executor": "executor",
        "method": "method",
    }
)
"""Everything that can be registered, with its name in messages."""

RESERVED = (
    *("run", "space", "optimizer", "schedule", "teacher", "selector", "data", "search", "retrain", "select"),
    *("budget", "weight", "executor", "plugins", "environment"),
)
"""What no cost measure or reference network can be called: sections of recipes, and an option of "budget"."""

# No colon in a name: it separates the distribution before it (dist:name) or the location of a data set after it.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def _check_section(word: str, name: str) -> None:
    """Raises InputError for a name that recipes use for something else."""
    if name in RESERVED:
        raise InputError(f"A {word} cannot be called '{name}', which has another meaning in recipes; choose another.")


def is_import_path(text: str) -> bool:
    """Whether `text` reads "package.module:Object"."""
    return _TARGET.fullmatch(text) is not None


@attrs.frozen
class Registration:
    """One registered name, the object that it stands for and the distribution that registers it."""

    slot: str
    """One of SLOT_WORDS."""
    name: str
    target: str
    """Import path of the object, "package.module:Object"."""
    summary: str
    """What the object is, in one sentence."""
    distribution: str
    version: str
    preferred: bool = False
    """Whether this method is to be taken where the user names none."""

    @property
    def qualified(self) -> str:
        """The name qualified by the distribution, which makes it unique: "distribution:name"."""
        return f"{self.distribution}:{self.name}"

    @property
    def section(self) -> str:
        """The section of its options, as in `--set SECTION.OPTION=VALUE`."""
        return {"dataset": "data", "cost": self.name, "reference": self.name}.get(self.slot, self.slot)

    @property
    def source(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"


@attrs.define
class Register:
    """The argument of `nasplug_register`, with one method for each kind of object that a plugin can register.

    A target is an import path "package.module:Object", which is imported when the name is first used. All methods raise
    InputError for a malformed name, target or summary, and for a name that the same distribution has already
    registered.
    """

    distribution: str
    version: str
    registrations: list[Registration] = attrs.field(factory=list)

    def space(self, name: str, target: str, *, summary: str) -> None:
        """Registers a search space, a `nasplug.parts.SearchSpace`."""
        self._add("space", name, target, summary)

    def optimizer(self, name: str, target: str, *, summary: str) -> None:
        """Registers an architecture optimizer, a `nasplug.parts.ArchitectureOptimizer`."""
        self._add("optimizer", name, target, summary)

    def schedule(self, name: str, target: str, *, summary: str) -> None:
        """Registers a pruning schedule, a `nasplug.parts.PruningSchedule`."""
        self._add("schedule", name, target, summary)

    def teacher(self, name: str, target: str, *, summary: str) -> None:
        """Registers a teacher, a `nasplug.parts.DistillationTeacher`."""
        self._add("teacher", name, target, summary)

    def selector(self, name: str, target: str, *, summary: str) -> None:
        """Registers a selector, a `nasplug.parts.Selector`."""
        self._add("selector", name, target, summary)

    def dataset(self, name: str, target: str, *, summary: str) -> None:
        """Registers a data set, a `nasplug.parts.DataSource`."""
        self._add("dataset", name, target, summary)

    def cost(self, name: str, target: str, *, summary: str) -> None:
        """Registers a cost measure, a `nasplug.parts.CostMeasure`; its name is also that of its section in recipes."""
        _check_section("cost measure", name)
        self._add("cost", name, target, summary)

    def reference(self, name: str, target: str, *, summary: str) -> None:
        """Registers a reference network, a `nasplug.parts.ReferenceNetwork`; its options have a section of its name."""
        _check_section("reference network", name)
        self._add("reference", name, target, summary)

    def executor(self, name: str, target: str, *, summary: str) -> None:
        """Registers an executor, a `nasplug.parts.TrainingExecutor`."""
        self._add("executor", name, target, summary)

    def method(self, name: str, target: str, *, summary: str, preferred: bool = False) -> None:
        """Registers a method: the target is a `nasplug.values.Method`, not a class.

        Where the user names no method, the first that is `preferred` is taken: those of other distributions before the
        core's, in the order of their names.
        """
        self._add("method", name, target, summary, preferred)

    def _add(self, slot: str, name: str, target: str, summary: str, preferred: bool = False) -> None:
        what = f"the {SLOT_WORDS[slot]} {name!r}"
        if not _NAME.fullmatch(name):
            raise InputError(f"Cannot register {what}: a name has lower-case letters, digits, '.', '_' and '-' only.")
        if not is_import_path(target):
            raise InputError(f"Cannot register {what}: its target {target!r} does not read 'package.module:Object'.")
        if not summary.strip():
            raise InputError(f"Cannot register {what}: it has no summary; one sentence is needed for `nasplug list`.")
        if not summary.strip().isprintable():
            raise InputError(f"Cannot register {what}: its summary is not one line of printable text.")
        if any((other.slot, other.name) == (slot, name) for other in self.registrations):
            raise InputError(f"Cannot register {what}: {self.distribution} has registered one of that name already.")
        self.registrations.append(
            Registration(
                slot=slot,
                name=name,
                target=target,
                summary=summary.strip(),
                distribution=self.distribution,
                version=self.version,
                preferred=preferred,
            )
        )
