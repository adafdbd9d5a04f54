"""The part `pc-darts` of the slot `--space`."""

from __future__ import annotations

from functools import partial

import attrs
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, Supernet, option
from nasplug.spaces.darts import CellLayout, Darts, cell_candidates, decode_edges
from nasplug.values import Genotype, ImageShape
from nasplug_pcdarts.edges import bypasses, encode_inputs, find_edges, make_edge_choices, multiply_by_edges
from nasplug_pcdarts.supernet import PartialCell, PartialSupernet


@attrs.define
class PCDarts(Darts):
    """The space `darts` with another supernet: partial channel connections and edge normalisation (Xu et al., 2020).

    Genotypes and their networks are those of `darts`.
    """

    name = "pc-darts"

    partial: int = option(
        4, "K: candidates compute 1/K of the channels of a state, and the others bypass them", at_least=1, at_most=64
    )

    def __attrs_post_init__(self) -> None:
        Darts.__attrs_post_init__(self)
        if self.choices != "edge":
            raise InputError(
                f"In the space '{self.name}' candidates compete on an edge, and edges at a node; with choices='node' "
                f"candidates of all edges compete already: leave space.choices at 'edge', or take the space darts."
            )

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice of operation for each edge, then a choice of inputs for each node."""
        edges = Darts.choice_list(self)
        return (*edges, *make_edge_choices(edges, self.cell_names(), self.nodes))

    def supernet(self, shape: ImageShape) -> PartialSupernet:
        """The network of all architectures. Raises InputError if its channels cannot be divided by `partial`."""
        if self.channels % self.partial:
            raise InputError(
                f"Candidates of the space '{self.name}' compute 1/{self.partial} of the channels of a state, which are "
                f"{self.channels} in the first cell; set space.channels to a multiple of space.partial."
            )
        choices = Choices(self.choice_list())
        edges = find_edges(choices, self.cell_names(), self.nodes)
        return PartialSupernet(self.layout(shape), choices, shape, partial(self.make_cell, choices), edges)

    def make_cell(self, choices: Choices, layout: CellLayout) -> PartialCell:
        """A new cell of the supernet."""
        name = self.cell_name(layout.index)
        members = (*cell_candidates(choices, name, self.nodes), *bypasses(choices, name, self.nodes))
        return PartialCell(layout, self.nodes, members, self.partial)

    def plain_supernet(self, net: Supernet) -> None:
        """None: there is no second one."""

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The rule of DARTS with alpha times beta: two edges per node, each with its strongest operation."""
        edges = find_edges(choices, self.cell_names(), self.nodes).to(weights.device)
        return decode_edges(choices, multiply_by_edges(weights, edges), self.cell_names(), self.nodes)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds and the inputs that they read, or those of a path through a block."""
        return encode_inputs(Darts.encode(self, genotype, choices), choices, self.cell_names(), self.nodes)
