"""The slot `--space`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, Self

from torch import Tensor, nn

from nasplug.errors import InputError, quote
from nasplug.parts.choice import Choice, Choices
from nasplug.parts.layer_spec import LayerSpec
from nasplug.parts.network import Network, Supernet
from nasplug.parts.paths import Paths
from nasplug.values import Costs, Drawing, Genotype, ImageShape, KnownResult


class SearchSpace(ABC):
    """Which architectures exist; how supernet, genotype and stand-alone network are built, and what they cost.

    An attrs class. Its options fix the operations and the size of the networks that it builds; `scaled` gives the same
    space at another size. A space has no state: all methods are functions of its options and their arguments, and
    random numbers come from the generator passed in, or for initial weights from torch's global generator, which the
    caller has seeded.
    """

    name: str
    """The name under which the space is registered; it must stay the same between releases."""
    genotypes_of: str = ""
    """The space to which genotypes of this one belong; empty: they are its own, and say its `name`.

    A space that is derived from another one, and differs from it in its supernet alone, has the same architectures: it
    keeps the genotypes of the other, which any space that reads these can build.
    """
    input_dims: frozenset[int] = frozenset({2})
    """As `ImageShape.dims`, which inputs it builds networks for: 2 for images, 1 for signals."""
    auxiliary_heads: bool = False
    """Whether its networks can have an auxiliary head in training."""
    has_skip_dropout: bool = False
    """Whether its supernets have skip connections, and apply `Supernet.skip_dropout` to them."""
    unshared: Mapping[str, Any] = MappingProxyType({})
    """Options of this space under which every choice belongs to one block alone, for blockwise teachers; empty if that
    is the case under all options, or under none."""
    cost_weight: float = 0.0
    """The default of `budget.weight` where networks are made as wide as a budget allows and alpha is learnt.

    For spaces in which alpha, which knows nothing of costs, would take the largest candidates everywhere, which would
    all be made narrow afterwards.
    """
    table_size: Mapping[str, int | str] | None = None
    """The size (see `size`) of the networks whose results `read_results` reads; None if it reads none."""

    @property
    def genotype_space(self) -> str:
        """What genotypes of this space give as their space: `genotypes_of`, or else its `name`."""
        return self.genotypes_of or self.name

    def refuse_foreign(self, genotype: Genotype) -> None:
        """Raises InputError unless `genotype` says that it belongs to `genotype_space`."""
        if genotype.space != self.genotype_space:
            derived = self.genotype_space != self.name
            own = f"; genotypes of '{self.name}' belong to '{self.genotype_space}'" if derived else ""
            raise InputError(
                f"This genotype belongs to the space {quote(genotype.space)}, not to '{self.genotype_space}'{own}."
            )

    @abstractmethod
    def choice_list(self) -> tuple[Choice, ...]:
        """The choices of the supernet, in the order of the rows of `Choices`; found without building the supernet."""

    @abstractmethod
    def supernet(self, shape: ImageShape) -> Supernet:
        """A new supernet for images of `shape` on the CPU, with `choice_list()` as its choices and alpha zero."""

    @abstractmethod
    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The genotype that the candidates which count in `choices` and their weights stand for; always a valid one.

        `weights` is (choices, candidates), 0 for what does not count. Called for snapshots and at the end of a search.
        Must not change `choices`.
        """

    @abstractmethod
    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that `genotype` holds, bool (choices, candidates), on the CPU; the inverse of `decode`.

        The genotype may hold the places of some blocks alone, as the paths of `paths` do; rows of the other blocks are
        then true for all their candidates. The result serves as a mask of `Choices.only`.
        """

    @abstractmethod
    def taps(self) -> int:
        """At how many places networks of this space are compared: the length of `Outputs.taps`."""

    @abstractmethod
    def paths(self, block: int | None) -> Paths:
        """The paths through one block, as genotypes of its places alone; None: through the whole network."""

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """What one block with this path adds to the cost of a network; only spaces of several blocks override it.

        The costs of all blocks of a genotype must add up to its `cost` or to slightly more, never to less. `before` is
        the path through the previous block, None for the first block; the result may depend on it by its `interface`
        alone. What belongs to no block, such as stem and head, counts to the first or the last.
        """
        return self.cost(path, shape)

    def interface(self, block: int, path: Genotype) -> Hashable:
        """What the cost of the next block depends on in this block's path, such as its width; by default nothing."""
        return None

    @abstractmethod
    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """A new stand-alone network of `genotype` for images of `shape`, on the CPU, with initial weights.

        With `auxiliary` it also has an auxiliary head, which is used in training only; this is asked for only if the
        space has `auxiliary_heads`.
        """

    @abstractmethod
    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """The parameters and multiply-accumulates of `network(genotype, shape)`; must agree with the built network."""

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec] | None:
        """The layers of `network(genotype, shape)` in any order, each as often as it occurs; None: not known.

        Additive cost measures are summed over them during a search, which is much faster than to build and measure
        every network. Together they must have all parameters and multiply-accumulates of the network. Without them,
        limits on costs other than params and MACs are applied to finished networks alone.
        """
        return None

    @classmethod
    def lists_layers(cls) -> bool:
        """Whether `layer_list` is defined for this space."""
        return cls.layer_list is not SearchSpace.layer_list

    def path_layers(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> Sequence[LayerSpec] | None:
        """The layers that one block with this path adds to a network; None: unknown. See `path_cost`, `layer_list`."""
        return self.layer_list(path, shape)

    @abstractmethod
    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless `genotype` belongs to this space under its present options."""

    @abstractmethod
    def parse(self, text: str) -> Genotype:
        """Reads a genotype in any notation that the space supports, JSON included; must never evaluate the text.

        Raises InputError for text that is no genotype of this space.
        """

    @abstractmethod
    def random(self, generator: Random) -> Genotype:
        """A random genotype that passes `check`. Random networks of a comparison come from here."""

    @abstractmethod
    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """`genotype` with one pick changed, added or removed at random; it passes `check` again."""

    @abstractmethod
    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each distinct cell or block, for the report."""

    @abstractmethod
    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space with networks of another width or depth; None keeps the present one.

        `channels` sets the width as the option of that name does. Raises InputError if the space has no such size.
        """

    def wider(self) -> Sequence[Self]:
        """This space with networks a little wider each, in ascending order, all narrower than with one more channel.

        A budget takes the widest of them that it allows: where channels are few, one more is a large step. Empty by
        default.
        """
        return ()

    @abstractmethod
    def size(self) -> dict[str, int | str]:
        """The size and stem of its networks as plain data, such as cells and channels; written to result files."""

    def plain_supernet(self, net: Supernet) -> nn.Module | None:
        """A straightforward supernet that computes the same as `net`, with the same weights and the same choices.

        From images (N, C, H, W) to logits (N, classes). `nasplug bench` measures the speed of `net` beside it. None, as
        by default, if the space has none.
        """
        return None

    def read_results(self, content: bytes, dataset: str, shape: ImageShape) -> Mapping[Genotype, KnownResult] | None:
        """The results that a table of a benchmark (the file of `--table`) holds for this space, by architecture.

        `content` is the whole file, `dataset` the name of the run's data set, `shape` the form of its images. Networks
        of the size `table_size` get their results from it instead of being trained. Raises InputError if the table is
        damaged, or holds nothing for this data set. None, as by default, if the space knows no such tables.
        """
        return None
