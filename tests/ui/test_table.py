from __future__ import annotations

import json

from rich.console import Console

from nasplug.store.network_result import NetworkResult
from nasplug.store.result import read_result
from nasplug.ui.table import class_table, result_table, sort_in_pairs


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


def read(tmp_path, confusion, **entries):
    best = {"id": "x", "role": "found", "matched_to": None, "params": 5, "macs": 9, "val_error": 0.25}
    best |= {"test_error": 0.1, "val_standard_error": 0.05, "selection_error": 0.4, "confusion": confusion}
    classes = [f"class {number}" for number in range(20)]
    result = {"schema": 1, "method": "m", "dataset": "d", "seed": 0, "status": "done", "data": {"classes": classes}}
    content = {**result, "networks": [best], "front": ["x"], "best": "x", **entries}
    (tmp_path / "result.json").write_text(json.dumps(content))
    return read_result(tmp_path)


def rows_of(table):
    console = Console(width=200, record=True)
    console.print(table)
    lines = console.export_text().splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]


def test_recalls_are_shown_where_classes_are_of_unequal_size(tmp_path):
    even = [[number, number, 10] for number in range(20)]
    assert class_table(read(tmp_path, even)) is None
    assert class_table(read(tmp_path, None)) is None
    table = class_table(read(tmp_path, [[0, 0, 1200], [0, 1, 300], [3, 0, 1], [3, 3, 1]]))
    assert rows_of(table) == [
        ["class 3", "2", "50.00 %"],
        ["class 0", "1,500", "80.00 %"],
        ["balanced accuracy", "", "65.00 %"],
    ]


def test_of_many_classes_the_worst_are_shown(tmp_path):
    rows = [[number, number, 100 + number] for number in range(20)] + [[7, 0, 100], [3, 0, 50]]
    table = class_table(read(tmp_path, rows))
    assert [row[0] for row in rows_of(table)][:2] == ["class 7", "class 3"]
    assert len(rows_of(table)) == 13
    assert str(table.title) == "x, the worst of 20"


def test_an_error_of_a_cross_validation_has_its_standard_error(tmp_path):
    assert rows_of(result_table(read(tmp_path, None)))[0][-2:] == ["40.00 ± 5.00 %", "10.00 %"]
    table = result_table(read(tmp_path, None, selected_by="balanced"))
    assert [str(column.header) for column in table.columns][-2] == "balanced validation error"
    assert rows_of(table)[0][-2:] == ["40.00 %", "10.00 %"]
