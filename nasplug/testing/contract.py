"""The contract as pytest tests: one test for each check of each thing that a plugin registers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.errors import InputError

if TYPE_CHECKING:
    from nasplug.testing.check_runner import CheckRunner


class PluginContract:
    """Base class of a plugin's contract test: a subclass in a test file names the plugin, pytest collects the checks.

    A check that has nothing to look at is skipped, and so is one that fails and is waived, both with the reason.
    """

    plugin: ClassVar[str | Path]
    """The name of an installed distribution, or the path of a package's folder or of a single file."""
    waivers: ClassVar[Mapping[str, str]] = {}
    """Checks that do not fit this plugin: name to reason, where "CHECK: SLOT NAME" names one of its things alone, and
    "CHECK: SLOT NAME.OPTION" an option of it.

    A waiver that is not needed is an error.
    """
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Options that make an expensive part small enough to test, for example {"space mine": {"channels": 4}}.

    Those of a data set may hold a `location`: what would follow the colon of --data NAME:LOCATION.
    """
    _runner: ClassVar[CheckRunner | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Parametrizes `test_contract`: one test for each check of each case, and one for each waiver."""
        import pytest  # no dependency of nasplug itself

        try:
            runner = self._shared_runner()
        except InputError as error:
            pytest.fail(str(error), pytrace=False)
        if "run_one_check" in metafunc.fixturenames:
            tests = {f"{case.title}: {check.name.replace('-', ' ')}": (check, case) for check, case in runner.pairs()}
            outcomes = {name: partial(runner.outcome, *pair) for name, pair in tests.items()}
            outcomes |= {f"waiver: {name}": partial(runner.check_waiver, name) for name in self.waivers}
            metafunc.parametrize("run_one_check", outcomes.values(), ids=outcomes)

    def test_contract(self, run_one_check: Any) -> None:
        """Fails where the check fails; skips where it is waived or not applicable."""
        import pytest

        outcome = run_one_check()
        if outcome.status == "failed":
            pytest.fail(str(outcome), pytrace=False)
        if outcome.status != "passed":
            pytest.skip(f"{outcome.status}: {outcome.found}")

    @classmethod
    def _shared_runner(cls) -> CheckRunner:
        """The runner that all tests of a class share."""
        # Imported here, because these modules import torch.
        from nasplug.testing.check_runner import CheckRunner
        from nasplug.testing.checked_package import open_package

        if not hasattr(cls, "plugin"):
            raise InputError(f"{cls.__name__} names no plugin; add the line: plugin = 'nasplug-mine'")
        shared: CheckRunner | None = vars(cls).get("_runner")
        if shared is None:
            shared = cls._runner = CheckRunner(open_package(cls.plugin, cls.options), cls.waivers)
        return shared
