"""The choices of the space, and the genotype that weighed choices stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from nasplug.builtin.darts.names import NONE, Pick, read_pick
from nasplug.builtin.darts.topology import CellGraph, write
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype


def edge_name(cell: str, node: int, source: int) -> str:
    """The name of the choice at one edge."""
    return f"{cell}/{node}<-{source}"


def choices_of(
    cells: Mapping[str, tuple[int, ...]], nodes: int, operations: tuple[str, ...], by_edge: bool
) -> tuple[Choice, ...]:
    """One choice for each edge (candidates: operations), or for each node (candidates: operation@input).

    `cells` names the cells and the blocks in which each of them stands.
    """
    found = []
    for cell, blocks in cells.items():
        for node in range(2, nodes + 2):
            if by_edge:
                found += [Choice(edge_name(cell, node, source), operations, blocks=blocks) for source in range(node)]
            else:
                candidates = tuple(str(Pick(name, source)) for source in range(node) for name in operations)
                found.append(Choice(f"{cell}/{node}", candidates, blocks=blocks))
    return tuple(found)


def encode(genotype: Genotype, choices: Choices, cells: Iterable[str], nodes: int) -> Tensor:
    """The candidates that a genotype holds; cells that it does not name keep all of theirs."""
    held = {place: frozenset(picked) for place, picked in genotype.picks}
    mask = choices.valid_mask.clone()
    for cell in cells:
        for node, pick, row, column in columns(choices, cell, nodes):
            if f"{cell}/{node}" in held:
                mask[row, column] = str(pick) in held[f"{cell}/{node}"]
    return mask


def columns(choices: Choices, cell: str, nodes: int) -> Iterator[tuple[int, Pick, int, int]]:
    """Every candidate of a cell, `none` included: its node, what it is, and its row and column in the table."""
    for node in range(2, nodes + 2):
        if f"{cell}/{node}" in choices.rows:
            row = choices.rows[f"{cell}/{node}"]
            for column, text in enumerate(choices.choices[row].candidates):
                yield node, read_pick(text, node, f"{cell}/{node}"), row, column
            continue
        for source in range(node):
            row = choices.rows[edge_name(cell, node, source)]
            for column, operation in enumerate(choices.choices[row].candidates):
                yield node, Pick(operation, source), row, column


def decode_nodes(choices: Choices, cells: Iterable[str], nodes: int) -> Genotype:
    """All candidates that every node keeps (SNPS: no top-2 rule, no argmax)."""
    kept = choices.active_mask.tolist()
    graphs = {}
    for cell in cells:
        picks: list[list[Pick]] = [[] for _ in range(nodes)]
        for node, pick, row, column in columns(choices, cell, nodes):
            if kept[row][column]:
                picks[node - 2].append(pick)
        graphs[cell] = _complete(picks)
    return write(graphs)


def decode_edges(choices: Choices, weights: Tensor, cells: Iterable[str], nodes: int) -> Genotype:
    """DARTS's rule: the two strongest edges of every node, each with its strongest operation, `none` left out.

    The strength of an edge is the largest weight of an operation other than `none`. Deleted candidates weigh 0; ties
    go to the first edge and the first operation, so that even a table of zeros stands for a genotype. (DARTS,
    model_search.py, `genotype`.)
    """
    table = torch.where(choices.active_mask.to(weights.device), weights, torch.zeros_like(weights)).tolist()
    graphs = {}
    for cell in cells:
        best: list[dict[int, tuple[float, Pick]]] = [{} for _ in range(nodes)]
        for node, pick, row, column in columns(choices, cell, nodes):
            strongest = best[node - 2].get(pick.input)
            if pick.operation != NONE and (strongest is None or table[row][column] > strongest[0]):
                best[node - 2][pick.input] = (table[row][column], pick)
        # `sorted` is stable: equal edges stay in the order of their inputs.
        top = [sorted(edges.values(), key=lambda edge: -edge[0])[:2] for edges in best]
        graphs[cell] = _complete([[pick for _, pick in edges] for edges in top])
    return write(graphs)


def _complete(picks: Iterable[Iterable[Pick]]) -> CellGraph:
    nodes = tuple(tuple(node) for node in picks)
    return CellGraph(nodes=nodes, concat=tuple(range(2, len(nodes) + 2)))
