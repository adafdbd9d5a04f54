"""`ChoiceSpace`: a search space from its choices and one function that builds its networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Any, Self

import attrs
from torch import Tensor, nn

from nasplug.errors import InputError, quote, quote_all
from nasplug.parts import Choices, Network, Paths, SearchSpace, Supernet
from nasplug.supernets.choice_network import ChoiceNetwork, ChoiceSupernet, Several
from nasplug.supernets.choice_table import ChoiceTable, table_of
from nasplug.supernets.choose import Choose
from nasplug.supernets.outline import Outline, Piece, outline_network
from nasplug.values import Costs, Drawing, Edge, Genotype, ImageShape
from nasplug.values.options import option_fields

Pick = Callable[[str, Callable[[str], nn.Module]], nn.Module]
"""From the name of a choice, and a function that makes the module of each of its candidates by name, to the module that
stands there: a chosen candidate, the sum of several, or in a supernet the weighted sum of all."""

NOMINAL = ImageShape(channels=3, size=32, classes=10)
"""Images for which a network is looked at where it matters only how it is made up."""
SIZES = ("cells", "channels")
"""Options that are the size of networks, if a space has them."""


class ChoiceSpace(SearchSpace):
    """A space whose genotypes hold, at each choice of `choice_list`, as many candidates as the choice says.

    Give it `name`, `choice_list` and `build`; supernet, stand-alone networks, their exact costs, genotypes in and out,
    random ones, mutations, paths and drawings follow. An attrs class whose options can be hashed.

    - Every choice holds at least one candidate; a choice with a parent has a place only where that is held.
    - All candidates of a choice take the same inputs and give tensors of one shape, so that costs add up exactly.
    - Options called `channels` and `cells` are the size of its networks, which a budget scales. The choices must not
      depend on them.
    - Blocks that the choices name, from 0 on, are trained one by one by blockwise teachers. Submodules of the network
      that read what the one before gives, and nothing else, have to follow one another from the images on, at least one
      for each block: an `nn.Sequential` does.
    - Taps are the maps at the ends of blocks, or of such submodules where blocks share their choices; without them, the
      map that the last choice gives.
    - Batch norms of the supernet are those that `build` makes.
    """

    @abstractmethod
    def build(self, shape: ImageShape, pick: Pick) -> nn.Module:
        """A new module from images (N, C, H, W) of `shape` to logits (N, classes), on torch's default device.

        It puts `pick(name, make)` where the choice `name` stands; `make(candidate)` makes the module of a candidate.
        Places of the same choice hold the same candidates. What else it builds may depend on `shape` and the options
        alone.
        """

    def table(self) -> ChoiceTable:
        """Its genotypes."""
        return table_of(self.genotype_space, self.choice_list())

    def outline(self, shape: ImageShape) -> Outline:
        """What its network looks like and costs. Raises InputError where it does not agree with `choice_list`."""
        values = tuple(getattr(self, name) for name in option_fields(type(self)))
        return _outline(type(self), values, ImageShape(shape.channels, shape.size, shape.classes))

    def supernet(self, shape: ImageShape) -> Supernet:
        """The network with all candidates of each choice, weighted."""
        return ChoiceSupernet(
            self.build(shape, self.pick_all()), Choices(self.choice_list()), self.outline(shape), self._tap_paths()
        )

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The network with the candidates that are held; it has no auxiliary head."""
        self.check(genotype)
        picks, picked = dict(genotype.picks), list[nn.Module]()

        def pick(name: str, make: Callable[[str], nn.Module]) -> nn.Module:
            made = {candidate: make(candidate) for candidate in picks.get(name, ())}
            picked.extend(made.values())
            return Several(made) if len(made) > 1 else next(iter(made.values()), nn.Identity())

        net = self.build(shape, pick)
        return ChoiceNetwork(net, self._tap_paths(), self.outline(shape).classifier, picked)

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """What the network costs: the sum of what all networks have, and what its candidates add."""
        self.check(genotype)
        return self.outline(shape).cost([None, *_owners(genotype)])

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """What the candidates of a block add; what all networks have counts to the first."""
        return self.outline(shape).cost([*([None] if block == 0 else []), *_owners(path)])

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """At each choice the active candidates of the largest weights, as many as it may hold; ties go to the first.

        Those of weight 0, which the supernet does without, only where a choice would hold too few.
        """
        return self.table().decode(choices, weights)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds."""
        return self.table().encode(genotype, choices)

    def taps(self) -> int:
        """One at the end of each block; where a network has no blocks, after the last choice."""
        return len(self._tap_paths())

    def paths(self, block: int | None) -> Paths:
        """All picks of the choices that affect a block."""
        return self.table().paths(block)

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless each choice holds as many of its candidates as it allows, and nothing else."""
        self.table().check(genotype)

    def parse(self, text: str) -> Genotype:
        """Reads JSON."""
        return self.table().parse(text)

    def random(self, generator: Random) -> Genotype:
        """For each choice a number of candidates, then so many, each uniformly at random."""
        return self.table().random(generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """One candidate exchanged, added or removed at one choice."""
        return self.table().mutate(genotype, generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each block: its choices in a row, whatever the network is like between them."""
        blocks = {choice.name: choice.blocks[0] for choice in self.choice_list()}
        numbers = sorted({blocks[place] for place in genotype.places})
        title = "block {}" if len(numbers) > 1 else "network"
        return tuple(
            _draw_row(title.format(number), {place: held for place, held in genotype.picks if blocks[place] == number})
            for number in numbers
        )

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size, if it has such an option."""
        asked = {name: value for name, value in (("channels", channels), ("cells", cells)) if value is not None}
        for name, value in asked.items():
            if name not in self.size():
                remedy = f"{'set retrain.widths=[] and ' if name == 'channels' else ''}leave retrain.{name} unset"
                raise InputError(
                    f"Networks of the space '{self.name}' cannot have {value} {name}, since the space has no option of "
                    f"that name; {remedy}."
                )
        other: Self = attrs.evolve(self, **asked)  # type: ignore[misc]  # derived classes are attrs classes
        return other

    def size(self) -> dict[str, int | str]:
        """Its options of SIZES."""
        return {name: getattr(self, name) for name in SIZES if name in option_fields(type(self))}

    def pick_all(self) -> Pick:
        """What puts all candidates of a choice into its places, as in the supernet."""
        candidates = {choice.name: choice.candidates for choice in self.choice_list()}

        def pick(name: str, make: Callable[[str], nn.Module]) -> nn.Module:
            if name not in candidates:
                raise InputError(
                    f"The network of the space '{self.name}' asks for the choice {quote(name)}, but choice_list has "
                    f"{quote_all(candidates)}."
                )
            return Choose({candidate: make(candidate) for candidate in candidates[name]}, name)

        return pick

    def _tap_paths(self) -> tuple[str, ...]:
        outline = self.outline(NOMINAL)
        if not outline.pieces:
            return () if outline.last_choice is None else (outline.last_choice,)
        blocks = {choice.name: choice.blocks for choice in self.choice_list()}
        chosen = [piece for piece in outline.pieces if piece.names]
        block_of = [blocks[piece.names[0]] for piece in chosen]
        ends = [
            piece.path
            for piece, (block, after) in zip(chosen, pairwise(block_of), strict=False)
            if block != after or len(block) > 1
        ]
        return (*ends, chosen[-1].path)


@lru_cache(maxsize=64)
def _outline(cls: type[ChoiceSpace], values: tuple[Any, ...], shape: ImageShape) -> Outline:
    space = cls(**dict(zip(option_fields(cls), values, strict=True)))
    what = f"The network of the space '{space.name}'"
    outline = outline_network(lambda: space.build(shape, space.pick_all()), shape, what)
    listed = [(choice.name, choice.candidates, choice.parent) for choice in space.choice_list()]
    found = [(choice.name, choice.candidates, choice.parent) for choice in outline.choices]
    if sorted(listed) != sorted(found):
        raise InputError(
            f"The space '{space.name}' lists the choices {quote_all(name for name, *_ in listed)}, but for images of "
            f"{shape.channels}x{shape.size}x{shape.size} its network has {quote_all(name for name, *_ in found)}; both "
            f"have to agree, in candidates and parents, too, for images of any size."
        )
    _check_blocks(space, outline.pieces)
    return outline


def _check_blocks(space: ChoiceSpace, pieces: Sequence[Piece]) -> None:
    """Raises InputError where the choices name several blocks that the pieces of the network are not."""
    blocks = {choice.name: choice.blocks for choice in space.choice_list()}
    count = 1 + max((number for numbers in blocks.values() for number in numbers), default=0)
    if count == 1 or any(len(numbers) > 1 for numbers in blocks.values()):
        return
    order = [{blocks[name][0] for name in piece.names} for piece in pieces if piece.names]
    numbers = [number for each in order for number in each]
    if any(len(each) > 1 for each in order) or sorted(set(numbers)) != list(range(count)) or numbers != sorted(numbers):
        raise InputError(
            f"The choices of the space '{space.name}' name {count} blocks, but its network does not consist of pieces "
            f"that follow one another with the choices of one block each and a square map at the end; build an "
            f"nn.Sequential with a module for each block, or let all choices be of block 0."
        )


def _owners(genotype: Genotype) -> list[tuple[str, str]]:
    return [(place, candidate) for place, held in genotype.picks for candidate in held]


def _draw_row(title: str, picks: dict[str, tuple[str, ...]]) -> Drawing:
    nodes = ("input", *picks)
    edges = (Edge(source, place, "+".join(picks[place])) for source, place in pairwise(nodes))
    return Drawing(title, nodes, tuple(edges))
