"""The toy space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from random import Random
from typing import Self

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError, choose_from
from nasplug.parts import Choice, Choices, LayerSpec, Network, Paths, SearchSpace, option
from nasplug.testing.toy.layer_list import block_layers
from nasplug.testing.toy.networks import CONVOLUTION, KERNELS, OPERATIONS, ToyNetwork, ToySupernet
from nasplug.values import Costs, Drawing, Edge, Genotype, ImageShape

BEST = CONVOLUTION


@attrs.define
class Toy(SearchSpace):
    """Cells side by side, each with one of four operations of which only the convolution sees more than single tones.

    Its own notation is a word for each cell: "convolution skip".
    """

    name = genotypes_of = "toy"

    channels: int = option(4, "channels of a cell", at_least=1)
    cells: int = option(2, "cells, each of which reads one plane of the images", at_least=1, at_most=8)

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each cell, in a block of its own."""
        return tuple(Choice(where, OPERATIONS, at_most=1, blocks=(int(where),)) for where in self._places())

    def supernet(self, shape: ImageShape) -> ToySupernet:
        """All candidates of every cell."""
        return ToySupernet(Choices(self.choice_list()), shape, self.channels)

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The heaviest candidate that counts, ties to the first."""
        table = weights.tolist()
        return _write(
            (choice.name, choice.candidates[max(columns, key=table[row].__getitem__, default=0)])
            for row, (choice, columns) in enumerate(zip(choices, choices.active_columns, strict=True))
        )

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidate of every cell; all of them in cells that the genotype does not name."""
        mask = choices.valid_mask.clone()
        for place, picked in genotype.picks:
            mask[choices.rows[place]] = torch.tensor([name in picked for name in OPERATIONS])
        return mask

    def taps(self) -> int:
        """One after each cell."""
        return self.cells

    def paths(self, block: int | None) -> Paths:
        """The candidates of a cell, or their combinations."""
        places = self._places() if block is None else (str(block),)
        every = [_write(zip(places, names, strict=True)) for names in product(OPERATIONS, repeat=len(places))]
        return Paths(len(every), lambda: every, lambda generator: generator.choice(every))

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """A cell with its lift; the head counts to the last."""
        outside = self.cells * self.channels + 1 if block == self.cells - 1 else 0
        kernel = KERNELS.get(path[str(block)][0], 0) ** 2
        lift, inside = self.channels, kernel * self.channels**2
        return Costs(
            params=2 * lift + inside + (2 * self.channels if kernel else 0) + outside * shape.classes,
            macs=(lift + inside) * shape.size**2 + max(outside - 1, 0) * shape.classes,
        )

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """One operation for each cell."""
        self.check(genotype)
        return ToyNetwork([genotype[place][0] for place in self._places()], shape, self.channels)

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """The sum of its cells."""
        self.check(genotype)
        costs = [self.path_cost(block, genotype, None, shape) for block in range(self.cells)]
        return Costs.total(costs)

    def path_layers(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> Sequence[LayerSpec]:
        """A cell with its lift; the join counts to the first, the head to the last."""
        return block_layers(block, path[str(block)][0], self.cells, self.channels, shape)

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec]:
        """Those of its cells."""
        self.check(genotype)
        return [layer for block in range(self.cells) for layer in self.path_layers(block, genotype, None, shape)]

    def check(self, genotype: Genotype) -> None:
        """Every cell, and nothing else, has one known operation."""
        if genotype.space != self.genotype_space or genotype.places != self._places():
            raise InputError(
                f"A genotype of toy with cells={self.cells} has the places {', '.join(self._places())}, but this one "
                f"is of {genotype.space} and has {', '.join(genotype.places) or 'none'}."
            )
        for place, picked in genotype.picks:
            if len(picked) != 1:
                raise InputError(f"Cell {place} of toy has one operation, but this genotype has {len(picked)} there.")
            if picked[0] not in OPERATIONS:
                raise choose_from("operation of toy", picked[0], OPERATIONS)

    def parse(self, text: str) -> Genotype:
        """Reads JSON, or a word for each cell."""
        if text.lstrip().startswith("{"):
            genotype = Genotype.from_json(text)
        else:
            genotype = _write((str(cell), word) for cell, word in enumerate(text.split()))
        self.check(genotype)
        return genotype

    def random(self, generator: Random) -> Genotype:
        """Any operation for each cell."""
        return _write((place, generator.choice(OPERATIONS)) for place in self._places())

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another operation in one cell."""
        picks = {place: picked[0] for place, picked in genotype.picks}
        place = generator.choice(list(picks))
        picks[place] = generator.choice([name for name in OPERATIONS if name != picks[place]])
        return _write(picks.items())

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing of all cells."""
        edges = tuple(Edge("images", f"cell {place}", picked[0]) for place, picked in genotype.picks)
        return (Drawing("cells", ("images", *(edge.target for edge in edges)), edges),)

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size."""
        return attrs.evolve(self, channels=channels or self.channels, cells=cells or self.cells)

    def size(self) -> dict[str, int | str]:
        """Channels and cells."""
        return {"channels": self.channels, "cells": self.cells}

    def _places(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.cells)))


def _write(picks: Iterable[tuple[str, str]]) -> Genotype:
    return Genotype("toy", {place: (name,) for place, name in picks})
