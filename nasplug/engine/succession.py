"""The supernets of a search whose schedule asks for several, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import torch

from nasplug.parts import Stage, Supernet
from nasplug.values import StepInfo
from nasplug.values.seeds import derive_seed

Measure = Callable[[StepInfo], Mapping[str, float]]
"""Computes figures for the event of a step, and leaves the training as it was."""


@attrs.frozen(eq=False)
class NewSupernet:
    """A supernet with initial weights, and what is made for it."""

    net: Supernet
    stages: Sequence[Stage]
    measure: Measure | None


@attrs.frozen(eq=False)
class Succession:
    """How the supernets after the first are made: each is a function of the seed and its number alone.

    So a search that goes on at a checkpoint builds the supernet to which this belongs without those before it.
    """

    count: int
    """How many supernets there are, the first included."""
    build: Callable[[int], NewSupernet]
    """From a number, counted from 0, to that supernet on the device of the training."""
    seed: int

    def make(self, number: int) -> NewSupernet:
        """A supernet and what is made for it; torch's global generator stays as it was."""
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive_seed(self.seed, "weights", number))
            return self.build(number)

    def alpha_generator(self, number: int) -> torch.Generator:
        """The generator of the initial alpha of a supernet."""
        return torch.Generator().manual_seed(derive_seed(self.seed, "alpha", number))
