"""What checks look at, one case at a time, and what they share about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from nasplug.plugins import Plugin, Plugins, Registration, Settings
from nasplug.testing.outcome import NotApplicable
from nasplug.values.options import option_fields

T = TypeVar("T")


@attrs.frozen(eq=False)
class Case:
    """A registered part, method or data set, a plugin as such, or its observer."""

    slot: str
    """Its slot, or `check.PLUGIN` or `check.OBSERVER`."""
    name: str
    plugins: Plugins
    """All plugins that are loaded."""
    plugin: Plugin
    """The plugin that registers it."""
    registration: Registration | None = None
    options: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """Small options that the plugin's author gives for parts, by slot and name."""
    settings: Settings = attrs.field(factory=Settings)
    """The settings under which the plugins were loaded."""
    waived_options: frozenset[str] = frozenset()
    """Options of the part that checks of single options pass over."""
    _cache: dict[Any, Any] = attrs.field(factory=dict, init=False)

    @property
    def title(self) -> str:
        """Slot and name, as messages show them."""
        return f"{self.slot} {self.name}"

    @property
    def target(self) -> Any:
        """The registered object, imported; InputError if that fails."""
        if self.registration is None:
            raise NotApplicable("nothing is registered here")
        return self.plugins.resolve(self.registration)

    def option_fields(self) -> dict[str, attrs.Attribute[Any]]:
        """The options of the part that are checked one by one, by name."""
        fields = option_fields(self.target)
        return {name: field for name, field in fields.items() if name not in self.waived_options}

    def once(self, make: Callable[[Case], T]) -> T:
        """The value of `make` for this case, computed once for all checks.

        If `make` raises, the first check that calls it sees the exception; for later ones NotApplicable is raised.
        """
        if make not in self._cache:
            self._cache[make] = NotApplicable("what this check looks at cannot be made, as another check says")
            try:
                self._cache[make] = make(self)
            except NotApplicable as absent:
                self._cache[make] = absent
        if isinstance(self._cache[make], NotApplicable):
            raise self._cache[make]
        value: T = self._cache[make]
        return value
