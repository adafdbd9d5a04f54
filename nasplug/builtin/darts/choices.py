"""The choices of the space, and genotypes from choices and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from nasplug.builtin.darts.genotype import NONE, CellGraph, Pick, read_pick, write_genotype
from nasplug.parts import Choice, Choices
from nasplug.supernets.candidate_groups import CellCandidate
from nasplug.values import Genotype


def edge_name(cell: str, node: int, source: int) -> str:
    """The name of the choice at one edge."""
    return f"{cell}/{node}<-{source}"


def make_choices(
    cells: Mapping[str, tuple[int, ...]], nodes: int, operations: tuple[str, ...], by_edge: bool
) -> tuple[Choice, ...]:
    """One choice for each edge (candidates: operations), or for each node (candidates: operation@input).

    `cells` gives the blocks that each cell belongs to, by the name of the cell.
    """
    choices: list[Choice] = []
    for cell, blocks in cells.items():
        for node in range(2, nodes + 2):
            if by_edge:
                choices += [Choice(edge_name(cell, node, source), operations, blocks=blocks) for source in range(node)]
            else:
                candidates = tuple(str(Pick(name, source)) for source in range(node) for name in operations)
                choices.append(Choice(f"{cell}/{node}", candidates, blocks=blocks))
    return tuple(choices)


def encode_genotype(genotype: Genotype, choices: Choices, cells: Iterable[str], nodes: int) -> Tensor:
    """The candidates that a genotype holds; cells that it does not name keep all of theirs."""
    held = {place: frozenset(texts) for place, texts in genotype.picks}
    mask = choices.valid_mask.clone()
    for cell in cells:
        for candidate in cell_candidates(choices, cell, nodes):
            place = f"{cell}/{candidate.target}"
            if place in held:
                mask[candidate.row, candidate.column] = str(_pick_of(candidate)) in held[place]
    return mask


def cell_candidates(choices: Choices, cell: str, nodes: int) -> Iterator[CellCandidate]:
    """Every candidate of a cell, `none` included, node by node."""
    for node in range(2, nodes + 2):
        if f"{cell}/{node}" in choices.rows:
            row = choices.rows[f"{cell}/{node}"]
            for column, text in enumerate(choices.choices[row].candidates):
                pick = read_pick(text, node, f"{cell}/{node}")
                yield CellCandidate(pick.operation, pick.input, node, row, column)
            continue
        for source in range(node):
            row = choices.rows[edge_name(cell, node, source)]
            for column, operation in enumerate(choices.choices[row].candidates):
                yield CellCandidate(operation, source, node, row, column)


def decode_nodes(choices: Choices, weights: Tensor, cells: Iterable[str], nodes: int) -> Genotype:
    """For each node all its active candidates that have a weight (SNPS: no top-2 rule, no argmax).

    An active candidate weighs 0 where its share is below the baseline of the optimizer (`one-level`): the supernet does
    without it already, though no schedule has deleted it. Where all of a node weigh 0, all count.
    """
    mask = choices.active_mask.to(weights.device)
    weighed = mask & (weights > 0)
    active = torch.where(weighed.any(1, keepdim=True), weighed, mask).tolist()
    graphs = {}
    for cell in cells:
        picks: list[list[Pick]] = [[] for _ in range(nodes)]
        for candidate in cell_candidates(choices, cell, nodes):
            if active[candidate.row][candidate.column]:
                picks[candidate.target - 2].append(_pick_of(candidate))
        graphs[cell] = _make_graph(picks)
    return write_genotype(graphs)


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
        for candidate in cell_candidates(choices, cell, nodes):
            edges, weight = best[candidate.target - 2], table[candidate.row][candidate.column]
            strongest = edges.get(candidate.source)
            if candidate.operation != NONE and (strongest is None or weight > strongest[0]):
                edges[candidate.source] = (weight, _pick_of(candidate))
        # `sorted` is stable: equal edges stay in the order of their inputs.
        top = [sorted(edges.values(), key=lambda edge: -edge[0])[:2] for edges in best]
        graphs[cell] = _make_graph([[pick for _, pick in edges] for edges in top])
    return write_genotype(graphs)


def _pick_of(candidate: CellCandidate) -> Pick:
    return Pick(candidate.operation, candidate.source)


def _make_graph(picks: Iterable[Iterable[Pick]]) -> CellGraph:
    """The cell of these nodes, all of them concatenated."""
    nodes = tuple(tuple(node) for node in picks)
    return CellGraph(nodes=nodes, concat=tuple(range(2, len(nodes) + 2)))
