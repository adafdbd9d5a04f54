"""The paths through blocks, random architectures, and mutations of an architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from random import Random

import attrs

from nasplug.builtin.mbconv.choices import Cells
from nasplug.builtin.mbconv.genotype import Cell, Chain, Operation, read_genotype, write_genotype
from nasplug.parts import Paths
from nasplug.values import Genotype


def random_chain(cells: Sequence[Cell], operations: Sequence[Operation], generator: Random) -> Chain:
    """A cell uniformly at random, then its operations: deep cells are no more frequent, though they have more paths."""
    cell = generator.choice(cells)
    return Chain(cell, tuple(generator.choice(operations) for _ in range(cell.layers)))


def random_genotype(
    blocks: Sequence[int], cells: Cells, operations: Sequence[Operation], generator: Random
) -> Genotype:
    """A random chain for each of these blocks."""
    return write_genotype({block: random_chain(cells[block], operations, generator) for block in blocks})


def make_paths(blocks: Sequence[int], cells: Cells, operations: Sequence[Operation]) -> Paths:
    """All ways to fill these blocks, depth-first: cell by cell, and the last layer changes fastest."""

    def chains(block: int) -> Iterator[Chain]:
        for cell in cells[block]:
            yield from (Chain(cell, layers) for layers in product(operations, repeat=cell.layers))

    def every() -> Iterator[Genotype]:
        for chosen in product(*(list(chains(block)) for block in blocks)):
            yield write_genotype(dict(zip(blocks, chosen, strict=True)))

    return Paths(
        count=prod(sum(len(operations) ** cell.layers for cell in cells[block]) for block in blocks),
        enumerate=every,
        sample=lambda generator: random_genotype(blocks, cells, operations, generator),
    )


def mutate_genotype(genotype: Genotype, cells: Cells, operations: Sequence[Operation], generator: Random) -> Genotype:
    """Another operation in one layer, or another cell with random layers in one block; each place is equally likely.

    The genotype itself if no place has an alternative.
    """
    chains = dict(enumerate(read_genotype(genotype)))
    places: list[tuple[int, int | None]] = []
    for block, chain in chains.items():
        if set(cells[block]) - {chain.cell}:
            places.append((block, None))
        places += [(block, layer) for layer, operation in enumerate(chain.operations) if set(operations) - {operation}]
    if not places:
        return genotype
    block, layer = generator.choice(places)
    chain = chains[block]
    if layer is None:
        changed = random_chain([cell for cell in cells[block] if cell != chain.cell], operations, generator)
    else:
        other = generator.choice([operation for operation in operations if operation != chain.operations[layer]])
        changed = attrs.evolve(chain, operations=(*chain.operations[:layer], other, *chain.operations[layer + 1 :]))
    return write_genotype(chains | {block: changed})
