"""One thing that checks look at, and what they share about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from nasplug.plugins import Plugin, Plugins, Registration, Settings
from nasplug.testing.outcome import NotApplicable

T = TypeVar("T")


@attrs.frozen(eq=False)
class Case:
    """A registered part, method or data set, or the plugin itself."""

    slot: str
    name: str
    plugins: Plugins
    """All plugins that are loaded."""
    plugin: Plugin
    """The one that it belongs to."""
    registration: Registration | None = None
    options: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """Small options that its author gives for parts, by slot and name."""
    settings: Settings = attrs.field(factory=Settings)
    """Under which the plugins were loaded."""
    _made: dict[Any, Any] = attrs.field(factory=dict, init=False)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.slot} {self.name}"

    @property
    def target(self) -> Any:
        """The registered object, imported; InputError if that fails."""
        if self.registration is None:
            raise NotApplicable("nothing is registered here")
        return self.plugins.resolve(self.registration)

    def once(self, make: Callable[[Case], T]) -> T:
        """What `make` gives for this thing, made once for all checks.

        Where that failed, it fails for the first check that asked; for others there is nothing to look at.
        """
        if make not in self._made:
            self._made[make] = NotApplicable("what this check looks at cannot be made, as another check says")
            try:
                self._made[make] = make(self)
            except NotApplicable as absent:
                self._made[make] = absent
        if isinstance(self._made[make], NotApplicable):
            raise self._made[make]
        made: T = self._made[make]
        return made
