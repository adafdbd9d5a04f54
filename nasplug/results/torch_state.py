"""What torch has once for a whole process, kept apart for a run and for the program around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor


@attrs.define(eq=False)
class Aside:
    """The random state, threads, default dtype and mode of gradients of a run that takes turns with another program.

    The program may draw random numbers between two steps of a run, and would change its outcome; and the run seeds the
    same generators, on which the program may rely. A run starts with float32 and with gradients, whatever the program
    has.
    """

    _own: _State | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Inside the block the run's state holds, outside the program's."""
        theirs = _State.now()
        own = self._own or attrs.evolve(theirs, dtype=torch.float32, gradients=True)
        with torch.inference_mode(False):
            own.restore()
            try:
                yield
            finally:
                self._own = _State.now()
                theirs.restore()


@attrs.frozen(eq=False)
class _State:
    random: Tensor
    cuda: tuple[Tensor, ...]
    threads: int
    dtype: torch.dtype
    gradients: bool

    @classmethod
    def now(cls) -> _State:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ()
        return cls(
            torch.get_rng_state(),
            tuple(cuda),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
        )

    def restore(self) -> None:
        torch.set_default_dtype(self.dtype)
        torch.set_grad_enabled(self.gradients)
        torch.set_rng_state(self.random)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
