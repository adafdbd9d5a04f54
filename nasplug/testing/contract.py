"""The contract as tests: every check of every thing that a plugin registers is a test of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.errors import InputError

if TYPE_CHECKING:
    from nasplug.testing.examination import Examination


class PluginContract:
    """Inherit from it in a test file, and name your plugin; pytest does the rest.

    A check that has nothing to look at is skipped, and so is one that fails and is waived, both with the reason.
    """

    plugin: ClassVar[str | Path]
    """The distribution as it is installed, or else a path: of the folder of the package, or of a single file."""
    waivers: ClassVar[Mapping[str, str]] = {}
    """Checks that do not fit this plugin, by name, each with the reason. One that is not needed is an error."""
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Options under which an expensive part is small, for example {"space mine": {"channels": 4}}.

    Those of a data set may hold a `location`, what would follow the colon of --data NAME:LOCATION.
    """
    _examination: ClassVar[Examination | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each check of each thing, and one for each waiver."""
        import pytest  # no dependency of nasplug itself

        try:
            examination = self._examined()
        except InputError as error:
            pytest.fail(str(error), pytrace=False)
        if "kept" in metafunc.fixturenames:
            tests = {
                f"{case.title}: {check.name.replace('-', ' ')}": (check, case) for check, case in examination.pairs()
            }
            outcomes = {name: partial(examination.outcome, *pair) for name, pair in tests.items()}
            outcomes |= {f"waiver: {name}": partial(examination.needed, name) for name in self.waivers}
            metafunc.parametrize("kept", outcomes.values(), ids=outcomes)

    def test_contract(self, kept: Any) -> None:
        """The thing does what the check asks."""
        import pytest

        outcome = kept()
        if outcome.status == "failed":
            pytest.fail(str(outcome), pytrace=False)
        if outcome.status != "passed":
            pytest.skip(f"{outcome.status}: {outcome.found}")

    @classmethod
    def _examined(cls) -> Examination:
        """The examination that all tests of a class share."""
        # Here, because it imports torch.
        from nasplug.testing.examination import Examination
        from nasplug.testing.subject import open_subject

        if not hasattr(cls, "plugin"):
            raise InputError(f"{cls.__name__} names no plugin; add the line: plugin = 'nasplug-mine'")
        shared: Examination | None = vars(cls).get("_examination")
        if shared is None:
            shared = cls._examination = Examination(open_subject(cls.plugin, cls.options), cls.waivers)
        return shared
