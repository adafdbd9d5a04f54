"""From a genotype to the cells that a stand-alone network really holds."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.darts.plan import CellPlan, NetworkPlan, plan, reductions
from nasplug.builtin.darts.topology import CellGraph, is_per_type, read
from nasplug.errors import InputError
from nasplug.values import Genotype


@attrs.frozen
class Blueprint:
    """A network and, for each of its cells, what it computes; None for a cell whose output nobody reads."""

    plan: NetworkPlan
    graphs: tuple[CellGraph | None, ...]

    @property
    def built(self) -> list[tuple[CellPlan, CellGraph]]:
        """The cells that exist."""
        return [(cell, graph) for cell, graph in zip(self.plan.cells, self.graphs, strict=True) if graph is not None]


def blueprint(genotype: Genotype, cells: int, channels: int, stem: str, size: int) -> Blueprint:
    """What to build for a genotype at this size; InputError if it fixes another number of cells."""
    named = read(genotype)
    if is_per_type(named):
        halving = reductions(cells)
        graphs = [named["reduce" if index in halving else "normal"] for index in range(cells)]
    elif len(named) != cells:
        raise InputError(
            f"This genotype describes {len(named)} cells one by one, so it cannot be built with {cells} cells; "
            f"set cells={len(named)}."
        )
    else:
        graphs = list(named.values())
    kept = needed(graphs)
    return Blueprint(
        plan=plan(stem, size, channels, [len(graph.concat) for graph in graphs]),
        graphs=tuple(graph if index in kept else None for index, graph in enumerate(graphs)),
    )


def needed(graphs: Sequence[CellGraph]) -> frozenset[int]:
    """The cells that the network cannot do without: the last, the reductions, and all that these read.

    Reductions stay even if nobody reads them, since the channels and the map of the cells behind them follow from
    theirs (NADD drops them and thereby misaligns the inputs of later cells).
    """
    last = len(graphs) - 1
    kept = {last} | reductions(len(graphs))
    for index in range(last, 0, -1):
        if index in kept:
            kept |= {index - 2 + source for source in graphs[index].inputs if index - 2 + source >= 0}
    return frozenset(kept)
