"""Which random numbers the steps of several ranks have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor

from nasplug.engine.random_state import RandomState
from nasplug.engine.ranks import Ranks
from nasplug.values.seeds import derive_seed

Relaxation = Callable[[Tensor, Tensor], Tensor]


@attrs.define(eq=False)
class RankDraws:
    """Torch's global random numbers in the steps of one rank among several.

    What is drawn while a network computes belongs to images (dropout, drop path) and differs between ranks. All else is
    drawn from a state that is the same on all of them, also the relaxation of alpha in the middle of a computation:
    noise about the architecture is common. That state is the one in checkpoints; those of images begin anew from it in
    every step, so that nothing depends on the number of ranks but the masks themselves.
    """

    ranks: Ranks
    device: torch.device
    _other: RandomState | None = attrs.field(init=False, default=None)
    """The state that is not in use; None outside of a step."""
    _for_images: bool = attrs.field(init=False, default=False)

    def begin_step(self) -> None:
        """Begins the numbers of this rank's images anew."""
        seed = derive_seed(int(torch.randint(2**62, ())), "rank", self.ranks.share.rank)
        common = RandomState.capture(self.device)
        torch.manual_seed(seed)
        self._other = RandomState.capture(self.device)
        common.restore()

    @contextmanager
    def for_images(self) -> Iterator[None]:
        """Inside the block, numbers are drawn for the images of this rank."""
        with self._swapped(for_images=True):
            yield

    def in_common(self, relaxation: Relaxation) -> Relaxation:
        """The same relaxation of alpha, drawing from what is common to all ranks wherever it is called."""

        def relax(alpha: Tensor, active: Tensor) -> Tensor:
            with self._swapped(for_images=False):
                return relaxation(alpha, active)

        return relax

    @contextmanager
    def _swapped(self, for_images: bool) -> Iterator[None]:
        if self._other is None or for_images == self._for_images:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        other, self._other = self._other, RandomState.capture(self.device)
        if other is not None:
            other.restore()
        self._for_images = not self._for_images
