"""What torch has once for a whole process, kept apart for a run and for the program around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor


@attrs.define(eq=False)
class Aside:
    """The random state and the number of threads of a run that takes turns with somebody else's program.

    The program may draw random numbers between two steps of a run, and would change its outcome; and the run seeds the
    same generators, on which the program may rely.
    """

    _own: _State | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Inside the block the run's state holds, outside the program's."""
        theirs = _State.now()
        if self._own is not None:
            self._own.restore()
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

    @classmethod
    def now(cls) -> _State:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ()
        return cls(torch.get_rng_state(), tuple(cuda), torch.get_num_threads())

    def restore(self) -> None:
        torch.set_rng_state(self.random)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
