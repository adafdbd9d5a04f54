"""The choices of the space, and the genotype that weighed choices stand for.

A block of several cells has the choice "0/cell"; every layer of every cell has one of its own, "0/2x24s2/1", which
means something only where that cell is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nasplug.builtin.mbconv.names import Cell, Operation, cell_place
from nasplug.builtin.mbconv.offer import Cells
from nasplug.builtin.mbconv.topology import Chain, read_part, write
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype


def layer_choice(block: int, cell: Cell, layer: int) -> str:
    """The name of the choice at one layer of a cell, counted from 1."""
    return f"{block}/{cell}/{layer}"


def choices_of(cells: Cells, operations: Sequence[Operation]) -> tuple[Choice, ...]:
    """A choice for each block of several cells, and one for each layer of each cell."""
    names = tuple(map(str, operations))
    found = []
    for block, offered in enumerate(cells):
        several = len(offered) > 1
        if several:
            found.append(Choice(cell_place(block), tuple(map(str, offered)), at_most=1, blocks=(block,)))
        for cell in offered:
            parent = (cell_place(block), str(cell)) if several else None
            found += [
                Choice(layer_choice(block, cell, layer), names, at_most=1, blocks=(block,), parent=parent)
                for layer in range(1, cell.layers + 1)
            ]
    return tuple(found)


def encode(genotype: Genotype, choices: Choices) -> Tensor:
    """The candidates that a genotype holds: none at the layers of the cells that it leaves out.

    Blocks of which it says nothing keep all of theirs.
    """
    held = {}
    for block, chain in read_part(genotype).items():
        held[block] = {cell_place(block): str(chain.cell)}
        held[block] |= {
            layer_choice(block, chain.cell, layer): str(one) for layer, one in enumerate(chain.operations, 1)
        }
    width = choices.valid_mask.shape[1]
    rows = []
    for choice in choices:
        (block,) = choice.blocks
        picked = held[block].get(choice.name) if block in held else None
        row = [block not in held or candidate == picked for candidate in choice.candidates]
        rows.append(row + [False] * (width - len(row)))
    return torch.tensor(rows, dtype=torch.bool)


def decode(choices: Choices, weights: Tensor, cells: Cells, operations: Sequence[Operation]) -> Genotype:
    """Of every block the strongest cell, and of each of its layers the strongest operation; ties go to the first.

    Only candidates that count are considered.
    """
    masked = torch.where(choices.active_mask.to(weights.device), weights, -torch.inf)
    counted: list[list[float]] = masked.tolist()

    def strongest(name: str) -> int:
        row = counted[choices.rows[name]]
        return row.index(max(row))

    chains = {}
    for block, offered in enumerate(cells):
        cell = offered[strongest(cell_place(block))] if len(offered) > 1 else offered[0]
        layers = range(1, cell.layers + 1)
        chains[block] = Chain(cell, tuple(operations[strongest(layer_choice(block, cell, layer))] for layer in layers))
    return write(chains)
