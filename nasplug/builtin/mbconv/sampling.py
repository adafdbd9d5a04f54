"""Random architectures, random neighbours of an architecture, and the paths through blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from random import Random

import attrs

from nasplug.builtin.mbconv.names import Cell, Operation
from nasplug.builtin.mbconv.offer import Cells
from nasplug.builtin.mbconv.topology import Chain, read, write
from nasplug.parts import Paths
from nasplug.values import Genotype


def random_chain(offered: Sequence[Cell], operations: Sequence[Operation], generator: Random) -> Chain:
    """A cell uniformly at random, then its operations; deep cells, which have more paths, come no more often."""
    cell = generator.choice(offered)
    return Chain(cell, tuple(generator.choice(operations) for _ in range(cell.layers)))


def random_genotype(
    blocks: Sequence[int], cells: Cells, operations: Sequence[Operation], generator: Random
) -> Genotype:
    """A random chain for each of these blocks."""
    return write({block: random_chain(cells[block], operations, generator) for block in blocks})


def paths(blocks: Sequence[int], cells: Cells, operations: Sequence[Operation]) -> Paths:
    """All ways to fill these blocks, depth-first: cell by cell, and the last layer changes fastest."""

    def chains(block: int) -> Iterator[Chain]:
        for cell in cells[block]:
            yield from (Chain(cell, picked) for picked in product(operations, repeat=cell.layers))

    def every() -> Iterator[Genotype]:
        for filled in product(*(list(chains(block)) for block in blocks)):
            yield write(dict(zip(blocks, filled, strict=True)))

    return Paths(
        count=prod(sum(len(operations) ** cell.layers for cell in cells[block]) for block in blocks),
        enumerate=every,
        sample=lambda generator: random_genotype(blocks, cells, operations, generator),
    )


def mutate(genotype: Genotype, cells: Cells, operations: Sequence[Operation], generator: Random) -> Genotype:
    """Another operation in one layer, or another cell in one block with its layers drawn anew, all places alike.

    The genotype itself if no place has an alternative.
    """
    chains = dict(enumerate(read(genotype)))
    places: list[tuple[int, int | None]] = []
    for block, chain in chains.items():
        if set(cells[block]) - {chain.cell}:
            places.append((block, None))
        places += [(block, layer) for layer, one in enumerate(chain.operations) if set(operations) - {one}]
    if not places:
        return genotype
    block, layer = generator.choice(places)
    chain = chains[block]
    if layer is None:
        changed = random_chain([cell for cell in cells[block] if cell != chain.cell], operations, generator)
    else:
        other = generator.choice([one for one in operations if one != chain.operations[layer]])
        changed = attrs.evolve(chain, operations=(*chain.operations[:layer], other, *chain.operations[layer + 1 :]))
    return write(chains | {block: changed})
