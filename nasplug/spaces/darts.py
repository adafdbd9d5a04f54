"""What the supernet of `darts` is built from: its layout, its cells and their candidates, for spaces derived from it.

`Darts.supernet` makes a `DartsSupernet`, and `Darts.make_cell` each of its cells. A cell computes its candidates in
waves: the end of the first wave completes node 2, which the second wave reads, and so on. A derived cell overrides
`SupernetCell.forward` and calls `add_terms` for the candidates that are computed as ever.
"""

from __future__ import annotations

from nasplug.builtin.darts.choices import cell_candidates, decode_edges
from nasplug.builtin.darts.layout import CellLayout, NetworkLayout
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.darts.supernet import DartsSupernet
from nasplug.builtin.darts.supernet_cell import States, SupernetCell
from nasplug.supernets.accumulate import add_weighted
from nasplug.supernets.candidate_groups import CandidateGroup, CellCandidate, CellGroups

__all__ = [
    "CandidateGroup",
    "CellCandidate",
    "CellGroups",
    "CellLayout",
    "Darts",
    "DartsSupernet",
    "NetworkLayout",
    "States",
    "SupernetCell",
    "add_weighted",
    "cell_candidates",
    "decode_edges",
]
