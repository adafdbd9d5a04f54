"""The slot `--space`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Self

from torch import Tensor

from nasplug.parts.choice import Choices
from nasplug.parts.network import Network, Supernet
from nasplug.values import Cost, Drawing, Genotype, ImageShape


class SearchSpace(ABC):
    """Which architectures exist; how supernet, genotype and stand-alone network are built, and what they cost.

    An attrs class; its options fix the size of the networks that it builds (`scaled` gives the space at another).
    """

    name: str
    """The name under which genotypes refer to this space."""

    @abstractmethod
    def supernet(self, shape: ImageShape) -> Supernet:
        """The network of all architectures. Initial weights come from torch's global generator."""

    @abstractmethod
    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The architecture that kept candidates and their weights (choices, candidates) stand for; always valid."""

    @abstractmethod
    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The stand-alone network; with `auxiliary` it also has an auxiliary head, used in training only."""

    @abstractmethod
    def cost(self, genotype: Genotype, shape: ImageShape) -> Cost:
        """What the stand-alone network costs."""

    @abstractmethod
    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless the genotype belongs to this space under its present options."""

    @abstractmethod
    def parse(self, text: str) -> Genotype:
        """Reads a genotype in any notation that the space knows, JSON included; never evaluates it."""

    @abstractmethod
    def random(self, generator: Random) -> Genotype:
        """A random architecture."""

    @abstractmethod
    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """The architecture with one pick changed, added or removed at random."""

    @abstractmethod
    def draw(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """A drawing of each distinct cell or block."""

    @abstractmethod
    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space with networks of another width or depth; InputError where it has no such size."""

    @abstractmethod
    def size(self) -> dict[str, int | str]:
        """The size and stem of its networks, plain data for result files."""
