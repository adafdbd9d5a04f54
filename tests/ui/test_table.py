from __future__ import annotations

from nasplug.store.result import NetworkResult
from nasplug.ui.table import sort_in_pairs


def network(name, role, params, matched_to=None, reference=None):
    entry = {"id": name, "role": role, "matched_to": matched_to, "params": params, "macs": 1, "reference": reference}
    return NetworkResult.from_entry(entry)


def test_rivals_stand_below_the_found_network_of_their_cost_and_other_reference_networks_at_the_end():
    networks = [
        network("large", "found", 9),
        network("r1", "random", 9, "large"),
        network("own", "reference", 8, "large", "plain"),
        network("wide", "reference", 7, reference="resnet8"),
        network("thin", "reference", 2, reference="timm:x"),
        network("small", "found", 1),
        network("r2", "random", 1, "small"),
    ]
    rows = sort_in_pairs(networks)
    assert [row.id for row in rows] == ["small", "r2", "large", "r1", "own", "thin", "wide"]
    assert [row.kind for row in rows[4:]] == ["reference plain", "reference timm:x", "reference resnet8"]
    assert [row.kind for row in rows[:2]] == ["found", "random"]
