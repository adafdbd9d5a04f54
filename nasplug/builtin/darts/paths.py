"""The paths through cells, random architectures, and mutations of an architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations, product
from math import comb, prod
from random import Random

import attrs

from nasplug.builtin.darts.genotype import CellGraph, Pick, read_genotype, write_genotype
from nasplug.parts import Paths
from nasplug.values import Genotype


def random_edges(cells: Iterable[str], nodes: int, operations: Sequence[str], generator: Random) -> Genotype:
    """For every node two distinct inputs, each with one operation, all uniformly at random."""
    graphs = {}
    for cell in cells:
        picks = [
            tuple(Pick(generator.choice(operations), source) for source in generator.sample(range(node), 2))
            for node in range(2, nodes + 2)
        ]
        graphs[cell] = CellGraph(tuple(picks), tuple(range(2, nodes + 2)))
    return write_genotype(graphs)


def random_subsets(cells: Iterable[str], nodes: int, operations: Sequence[str], generator: Random) -> Genotype:
    """For every node a non-empty set of candidates, each of them taken with a probability sampled for the genotype.

    One probability for the whole genotype spreads the sizes of networks evenly; with a fixed one nearly all of them
    would have the same size.
    """
    density = generator.random()
    graphs = {}
    for cell in cells:
        picks = []
        for node in range(2, nodes + 2):
            candidates = [Pick(name, source) for source in range(node) for name in operations]
            taken = tuple(pick for pick in candidates if generator.random() < density)
            picks.append(taken or (generator.choice(candidates),))
        graphs[cell] = CellGraph(tuple(picks), tuple(range(2, nodes + 2)))
    return write_genotype(graphs)


def make_paths(cells: Sequence[str], nodes: int, operations: Sequence[str], by_edge: bool) -> Paths:
    """All ways to fill these cells: those that `random_edges` samples if `by_edge`, else those of `random_subsets`."""
    numbers = range(2, nodes + 2)
    candidates = {node: [Pick(name, source) for source in range(node) for name in operations] for node in numbers}

    def node_options(node: int) -> Iterator[tuple[Pick, ...]]:
        if by_edge:
            pairs = combinations(candidates[node], 2)
            return (pair for pair in pairs if pair[0].input != pair[1].input)
        sizes = range(1, len(candidates[node]) + 1)
        return chain.from_iterable(combinations(candidates[node], size) for size in sizes)

    def every() -> Iterator[Genotype]:
        for node_picks in product(*(list(node_options(node)) for _ in cells for node in numbers)):
            by_cell = [node_picks[start : start + nodes] for start in range(0, len(node_picks), nodes)]
            graphs = (CellGraph(picks, tuple(numbers)) for picks in by_cell)
            yield write_genotype(dict(zip(cells, graphs, strict=True)))

    def count_options(node: int) -> int:
        return comb(node, 2) * len(operations) ** 2 if by_edge else 2 ** len(candidates[node]) - 1

    sample = random_edges if by_edge else random_subsets
    return Paths(
        count=prod(count_options(node) for node in numbers) ** len(cells),
        enumerate=every,
        sample=lambda generator: sample(cells, nodes, operations, generator),
    )


def mutate_edge(genotype: Genotype, operations: Sequence[str], generator: Random) -> Genotype:
    """Another operation or another input for one pick; the genotype itself if there is no alternative at all.

    No two picks of a node read the same input afterwards that did not before.
    """
    cells = read_genotype(genotype)
    changes = []
    for name, cell in cells.items():
        for index, picks in enumerate(cell.nodes):
            taken = {pick.input for pick in picks}
            free = [source for source in range(index + 2) if source not in taken]
            for pick in picks:
                others = [Pick(operation, pick.input) for operation in operations]
                others += [Pick(pick.operation, source) for source in free]
                changes += [(name, index, pick, other) for other in others if other not in picks]
    if not changes:
        return genotype
    name, index, old, new = generator.choice(changes)
    changed = list(cells[name].nodes[index])
    changed[changed.index(old)] = new
    return write_genotype(cells | {name: _replace_node(cells[name], index, tuple(changed))})


def mutate_subset(genotype: Genotype, operations: Sequence[str], generator: Random) -> Genotype:
    """One candidate added to or taken from a node, never the last one; the genotype itself if nothing can change."""
    cells = read_genotype(genotype)
    flips = []
    for name, cell in cells.items():
        for index, picks in enumerate(cell.nodes):
            candidates = [Pick(operation, source) for source in range(index + 2) for operation in operations]
            flips += [(name, index, pick) for pick in candidates if picks != (pick,)]
    if not flips:
        return genotype
    name, index, flipped = generator.choice(flips)
    changed = list(cells[name].nodes[index])
    if flipped in changed:
        changed.remove(flipped)
    else:
        changed.append(flipped)
    return write_genotype(cells | {name: _replace_node(cells[name], index, tuple(sorted(changed)))})


def _replace_node(cell: CellGraph, index: int, picks: tuple[Pick, ...]) -> CellGraph:
    return attrs.evolve(cell, nodes=(*cell.nodes[:index], picks, *cell.nodes[index + 1 :]))
