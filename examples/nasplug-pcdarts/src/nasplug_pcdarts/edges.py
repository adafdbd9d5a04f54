"""Edge normalisation: a choice of inputs for every node, whose weights (beta) multiply those of its candidates.

Beta is a row of the table of choices like any other. So the optimizer that weighs the candidates of an edge weighs the
edges of a node in the same way (a softmax with `bilevel`), it learns both alike, and a schedule that deletes an input
deletes the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from nasplug.parts import Choice, Choices
from nasplug.spaces.darts import CellCandidate, cell_candidates

BYPASS = "bypass"
"""The operation of an edge that carries the channels which no candidate computes. Beta alone weighs it."""
KEPT_INPUTS = 2
"""Inputs that a node keeps at least: as many as a genotype of DARTS holds."""


def choice_name(cell: str, node: int) -> str:
    """The name of the choice among the inputs of a node."""
    return f"{cell}/{node}/inputs"


def make_edge_choices(candidates: Sequence[Choice], cells: Iterable[str], nodes: int) -> Iterator[Choice]:
    """A choice for every node of these cells; its candidates are the node's inputs, by number.

    `candidates` are the choices on edges. A choice of inputs affects the blocks that those of its cell affect.
    """
    for cell in cells:
        blocks = next(choice.blocks for choice in candidates if choice.name.startswith(f"{cell}/"))
        for node in range(2, nodes + 2):
            yield Choice(choice_name(cell, node), tuple(map(str, range(node))), at_least=KEPT_INPUTS, blocks=blocks)


def bypasses(choices: Choices, cell: str, nodes: int) -> Iterator[CellCandidate]:
    """The edges of a cell as candidates of the choices of inputs."""
    for node in range(2, nodes + 2):
        row = choices.rows[choice_name(cell, node)]
        yield from (CellCandidate(BYPASS, source, node, row, column=source) for source in range(node))


def find_edges(choices: Choices, cells: Iterable[str], nodes: int) -> Tensor:
    """Where the table of weights, flattened and followed by a 1, holds the weight of each candidate's edge.

    int64 (choices, candidates). Inputs themselves, and padding, point to the 1.
    """
    rows, columns = choices.valid_mask.shape
    table = torch.full((rows, columns), rows * columns)
    for cell in cells:
        for candidate in cell_candidates(choices, cell, nodes):
            beta = choices.rows[choice_name(cell, candidate.target)]
            table[candidate.row, candidate.column] = beta * columns + candidate.source
    return table


def multiply_by_edges(weights: Tensor, edges: Tensor) -> Tensor:
    """Weights (choices, candidates), each times the weight of its edge; see `find_edges`."""
    return weights * torch.cat([weights.flatten(), weights.new_ones(1)])[edges]


def encode_inputs(mask: Tensor, choices: Choices, cells: Iterable[str], nodes: int) -> Tensor:
    """The mask of a genotype's candidates, with the inputs that these read, bool (choices, candidates)."""
    held = mask.clone()
    for cell in cells:
        held[[choices.rows[choice_name(cell, node)] for node in range(2, nodes + 2)]] = False
        for candidate in cell_candidates(choices, cell, nodes):
            if mask[candidate.row, candidate.column]:
                held[choices.rows[choice_name(cell, candidate.target)], candidate.source] = True
    return held
