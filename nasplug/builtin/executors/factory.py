"""The executor `factory`: any `concurrent.futures.Executor`, from a function that a user names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import attrs

from nasplug.errors import InputError, one_line, quote
from nasplug.parts import TrainingExecutor, Workload, option


@attrs.frozen
class Factory(TrainingExecutor):
    """Trainings through the executor that a function without arguments returns; `--executor package.module:function`.

    The executor has to call functions in other processes than that of the run, which import nasplug and its plugins.
    """

    target: str = option("", "import path of the function, package.module:function")

    def check(self) -> None:
        """Imports the function."""
        self._function()

    def open(self, workload: Workload) -> Executor:
        """Calls the function."""
        executor = self._function()()
        if not isinstance(executor, Executor):
            raise InputError(
                f"The function {quote(self.target)} must return a concurrent.futures.Executor, but it returned "
                f"{executor!r:.80}."
            )
        return executor

    def _function(self) -> Callable[[], Any]:
        module, _, name = self.target.partition(":")
        if not module or not name:
            raise InputError(
                f"The executor 'factory' needs the import path of a function, package.module:function, but "
                f"executor.target is {quote(self.target)}; name one as --executor package.module:function."
            )
        try:
            function: Callable[[], Any] = getattr(importlib.import_module(module), name)
        except Exception as error:
            raise InputError(f"The executor {quote(self.target)} cannot be imported: {one_line(error)}.") from error
        if not callable(function):
            raise InputError(f"The executor {quote(self.target)} is no function, but {function!r:.80}.")
        return function
