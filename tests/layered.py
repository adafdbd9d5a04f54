"""A small search space of two blocks in layers, for tests of what reads spaces and supernets in general.

Block 0 has two layers. Block 1 has two, and a third one where its choice "1/depth" is "long". Each layer holds one of
three candidates. What a block costs depends on the last candidate of the block before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from random import Random

import attrs
import torch
from torch import nn

from nasplug.parts import Block, Choice, Choices, Layer, Outputs, Paths, Rater, SearchSpace, Supernet
from nasplug.supernets import Norm
from nasplug.values import Costs, Genotype, ImageShape, MapShape

SHAPE = ImageShape(1, 4, 5)
CANDIDATES = ("narrow", "mid", "wide")
PRICES = {"narrow": 10, "mid": 17, "wide": 31}
MAPS = MapShape(3, 4)


class MixedLayer(nn.Module):
    """The sum of its candidates, each a convolution with batch norm; a residual if none counts."""

    def __init__(self, choices: Choices, row: int) -> None:
        super().__init__()
        self.row = row
        self.candidates = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, 3, kernel, padding=kernel // 2), Norm(3, affine=True), nn.Tanh())
            for kernel in (1, 3, 1)
        )
        self._choices = (choices,)

    def forward(self, x):
        (choices,) = self._choices
        weights = choices.weights()[self.row]
        return x + sum(
            weights[column].to(x.dtype) * self.candidates[column](x) for column in choices.active_columns[self.row]
        )


class LayeredNet(Supernet):
    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self.choices = choices
        self.stem = nn.Sequential(nn.Conv2d(SHAPE.channels, 3, 3, padding=1), Norm(3, affine=True))
        rows = {name.replace("/", "-"): row for name, row in choices.rows.items() if name != "1/depth"}
        self.layers = nn.ModuleDict({name: MixedLayer(choices, row) for name, row in rows.items()})
        self.head = nn.Sequential(Norm(3, affine=True), nn.Flatten(), nn.Linear(48, SHAPE.classes))

    def outputs(self, images) -> Outputs:
        x = self.stem(images)
        for layer in self.layers.values():
            x = layer(x)
        return Outputs(self.head(x), ())

    def prune(self) -> None:
        pass

    def whole(self) -> Block:
        views = (self._layer(layer) for layer in self.layers.values())
        return Block((), None, lambda maps: self.stem(maps[0]), tuple(views), self.head, (self,))

    def blocks(self) -> Sequence[Block]:
        own = [[layer for name, layer in self.layers.items() if name[0] == block] for block in "01"]
        layers = [tuple(map(self._layer, each)) for each in own]
        return (
            Block((), MAPS, lambda maps: self.stem(maps[0]), layers[0], _same, (self.stem, *own[0])),
            Block((MAPS,), MAPS, lambda maps: maps[0], layers[1], _same, tuple(own[1])),
        )

    @staticmethod
    def _layer(layer) -> Layer:
        return Layer(rows=(layer.row,), module=layer, compute=layer)


def _same(state):
    return state


@attrs.define
class Layered(SearchSpace):
    """The space."""

    name = "layered"

    def choice_list(self):
        one = partial(Choice, at_most=1)
        return (
            *(one(f"0/{layer}", CANDIDATES, blocks=(0,)) for layer in range(2)),
            one("1/depth", ("short", "long"), blocks=(1,)),
            *(one(f"1/{layer}", CANDIDATES, blocks=(1,)) for layer in range(2)),
            one("1/2", CANDIDATES, blocks=(1,), parent=("1/depth", "long")),
        )

    def supernet(self, shape):
        return LayeredNet(Choices(self.choice_list()))

    def encode(self, genotype, choices):
        mask = choices.valid_mask.cpu().clone()
        held = dict(genotype.picks)
        for choice in choices:
            if choice.name[0] in {place[0] for place in held}:
                for column, candidate in enumerate(choice.candidates):
                    mask[choices.rows[choice.name], column] = candidate in held.get(choice.name, ())
        return mask

    def decode(self, choices, weights):
        best = {name: choices.choices[row].candidates[int(weights[row].argmax())] for name, row in choices.rows.items()}
        if best["1/depth"] == "short":
            del best["1/2"]
        return self._write(best)

    def paths(self, block):
        every = self._every()
        parts = list(dict.fromkeys(every if block is None else map(partial(self.part, block), every)))
        return Paths(len(parts), lambda: parts, lambda generator: generator.choice(parts))

    @staticmethod
    def part(block: int, genotype: Genotype) -> Genotype:
        return Genotype("layered", [pick for pick in genotype.picks if pick[0][0] == str(block)])

    def path_cost(self, block, path, before, shape):
        read = 4 if before is not None and self.interface(block - 1, before) else 0
        params = sum(PRICES[picked] for _, (picked,) in path.picks if picked in PRICES) + read
        macs = sum(PRICES[picked] ** 2 % 13 for _, (picked,) in path.picks if picked in PRICES) + 3 * read
        return Costs(params=params, macs=macs)

    def interface(self, block, path):
        return path["0/1" if block == 0 else "1/1"] == ("wide",)

    def cost(self, genotype, shape):
        first, second = (self.part(block, genotype) for block in (0, 1))
        costs = self.path_cost(0, first, None, shape), self.path_cost(1, second, first, shape)
        return Costs.total(costs)

    def random(self, generator: Random):
        return generator.choice(list(self._every()))

    def _every(self) -> Iterator[Genotype]:
        for zero, one, depth, two, three in product(CANDIDATES, CANDIDATES, ("short", "long"), CANDIDATES, CANDIDATES):
            picks = {"0/0": zero, "0/1": one, "1/depth": depth, "1/0": two, "1/1": three}
            for last in CANDIDATES if depth == "long" else (None,):
                yield self._write(picks | ({"1/2": last} if last else {}))

    @staticmethod
    def _write(picks) -> Genotype:
        return Genotype("layered", {place: (picked,) for place, picked in picks.items()})

    def taps(self):
        raise NotImplementedError

    check = network = parse = mutate = drawings = scaled = size = taps


@attrs.define(eq=False)
class TargetRater(Rater):
    """Rates a block that reads some maps made from a batch by its mean distance from other such maps."""

    view: Block
    block: int | None

    def inputs(self, batch):
        if not self.view.inputs:
            return (batch.images,)
        return tuple(self._maps(batch, each, number) for number, each in enumerate(self.view.inputs))

    def rate(self, output, batch):
        return (output - self._maps(batch, self.view.output, 7)).abs().mean()

    @staticmethod
    def _maps(batch, shape: MapShape, seed: int):
        generator = torch.Generator().manual_seed(seed)
        mixing = torch.randn(batch.images[0].numel(), shape.channels * shape.size**2, generator=generator)
        return (batch.images.flatten(1) @ mixing.to(batch.images.dtype)).unflatten(1, (-1, shape.size, shape.size))
