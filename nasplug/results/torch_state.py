"""Settings that torch has once for a whole process, kept apart for a run and for the program around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock

import attrs
import torch

from nasplug.engine.random_state import RandomState

_ONE_AT_A_TIME = RLock()
"""Two threads that exchanged the settings of one process at the same time would leave each other's behind."""


@attrs.define(eq=False)
class IsolatedTorchState:
    """The random state, threads, default dtype and gradient mode of a run that a Python program drives step by step.

    The program may draw random numbers between two steps of the run, which would change the outcome of the run; and the
    run seeds the same generators, on which the program may rely. A run starts in float32, with gradients and with new
    tensors on the CPU, whatever the program has set.
    """

    _own: _TorchState | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside the block torch has the run's state, which is kept for the next block; afterwards the program's."""
        with _ONE_AT_A_TIME, _cpu_as_default():
            outside = _TorchState.capture()
            own = self._own or attrs.evolve(outside, dtype=torch.float32, gradients=True)
            with torch.inference_mode(False):
                own.restore()
                try:
                    yield
                finally:
                    self._own = _TorchState.capture()
                    outside.restore()


def _cpu_as_default() -> AbstractContextManager[object]:
    """New tensors are on the CPU inside the block. Where they are anyway, nothing is added to every operation."""
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


@attrs.frozen(eq=False)
class _TorchState:
    random: RandomState
    threads: int
    dtype: torch.dtype
    gradients: bool

    @classmethod
    def capture(cls) -> _TorchState:
        return cls(
            RandomState.capture(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
        )

    def restore(self) -> None:
        torch.set_default_dtype(self.dtype)
        torch.set_grad_enabled(self.gradients)
        self.random.restore()
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
