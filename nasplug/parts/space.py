"""The slot `--space`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, Self

from torch import Tensor

from nasplug.parts.choice import Choice, Choices
from nasplug.parts.network import Network, Supernet
from nasplug.parts.paths import Paths
from nasplug.values import Cost, Drawing, Genotype, ImageShape, KnownResult


class SearchSpace(ABC):
    """Which architectures exist; how supernet, genotype and stand-alone network are built, and what they cost.

    An attrs class; its options fix the size of the networks that it builds (`scaled` gives the space at another).
    """

    name: str
    """The name under which genotypes refer to this space."""
    auxiliary_heads: bool = False
    """Whether its networks can have an auxiliary head in training."""
    unshared: Mapping[str, Any] = MappingProxyType({})
    """Options under which every choice belongs to one block; empty if it is always so, or never."""
    table_size: Mapping[str, int | str] | None = None
    """The size (see `size`) of the networks whose results `read_results` reads; None if it reads none."""

    @abstractmethod
    def choice_list(self) -> tuple[Choice, ...]:
        """The choices that its supernet leaves open."""

    @abstractmethod
    def supernet(self, shape: ImageShape) -> Supernet:
        """The network of all architectures. Initial weights come from torch's global generator."""

    @abstractmethod
    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The architecture that kept candidates and their weights (choices, candidates) stand for; always valid."""

    @abstractmethod
    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, bool (choices, candidates) on the CPU: what `decode` came from.

        The genotype may hold the places of some blocks only; rows of the others are then true wherever they exist.
        """

    @abstractmethod
    def taps(self) -> int:
        """At how many places its networks are compared (`Outputs.taps`)."""

    @abstractmethod
    def paths(self, block: int | None) -> Paths:
        """The paths through one block, or through the whole network: genotypes of its places alone."""

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Cost:
        """What a block adds to the cost of a network; costs of a genotype's blocks add up to its cost or a little more.

        `before` is a path through the previous block. It matters by its `interface` alone. What belongs to no block
        counts to the first or the last. Only spaces of several blocks need this; one block costs what its network does.
        """
        return self.cost(path, shape)

    def interface(self, block: int, path: Genotype) -> Hashable:
        """That of a block's path on which the cost of the next block depends, such as its width."""
        return None

    @abstractmethod
    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The stand-alone network; with `auxiliary` it also has an auxiliary head, used in training only.

        `auxiliary` is asked for only where the space has `auxiliary_heads`.
        """

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
    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """A drawing of each distinct cell or block."""

    @abstractmethod
    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space with networks of another width or depth; InputError where it has no such size."""

    @abstractmethod
    def size(self) -> dict[str, int | str]:
        """The size and stem of its networks, plain data for result files."""

    def read_results(self, content: bytes, dataset: str, shape: ImageShape) -> Mapping[Genotype, KnownResult] | None:
        """The results that a table of a benchmark (the file of `--table`) holds for this space, by architecture.

        `content` is the whole file, `dataset` the name of the run's data set, `shape` the form of its images. Networks
        of the size `table_size` get their results from it instead of being trained. Raises InputError if the table is
        damaged, or holds nothing for this data set. None, as by default, if the space knows no such tables.
        """
        return None
