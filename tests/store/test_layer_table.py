"""What layers cost is measured once on a machine, whichever process asks, and whatever happens to the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Thread

import attrs
import pytest
from torch import nn

from nasplug.parts import CostMeasure, LayerSpec, option
from nasplug.store.cache_folder import cache_folder
from nasplug.store.layer_table import LayerTable

measured: list[str] = []


@attrs.frozen
class Clock(CostMeasure):
    """Every measurement gives another figure."""

    measured = True
    additive = True
    precision: int = option(1, "anything")
    runtime: str = "first"

    def cost(self, net, shape):
        measured.append(type(net).__name__)
        return float(len(measured))

    def base_cost(self):
        return 0.5

    def environment(self):
        return {"runtime": self.runtime}


@attrs.frozen
class Exact(CostMeasure):
    additive = True

    def cost(self, net, shape):
        return 3.0


def layer(key: str, size: int = 4) -> LayerSpec:
    return LayerSpec(key, (2, size, size), nn.Identity)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def table(tmp_path: Path, notices: list[str]):
    return lambda: LayerTable(notices.append, tmp_path / "layers")


def test_a_layer_is_measured_once_for_all_tables(table, notices):
    first = table()
    costs = [first(Clock(), layer(key, size)) for key in "ab" for size in (4, 8)]
    count = len(measured)

    again = table()
    assert [again(Clock(), layer(key, size)) for key in "ab" for size in (4, 8)] == costs
    assert again(Clock(), None) == table()(Clock(), None) == 0.5
    assert len(measured) == count
    assert len(set(costs)) == 4
    assert not notices


def test_options_and_environment_have_tables_of_their_own(table):
    one = table()
    paths = {one.path(Clock()), one.path(Clock(precision=2)), one.path(Clock(runtime="second"))}
    assert len(paths) == 3
    assert one(Clock(), layer("a")) != one(Clock(runtime="second"), layer("a"))
    content = json.loads(one.path(Clock(runtime="second")).read_text())
    assert content["environment"] == {"runtime": "second"}
    assert list(content["layers"]) == ["a on 2x4x4"]


def test_what_is_not_measured_is_not_kept(table, tmp_path):
    assert table()(Exact(), layer("a")) == 3.0
    assert not (tmp_path / "layers").exists()


def change(text: str) -> str:
    content = json.loads(text)
    content["layers"]["a on 2x4x4"] += 1
    return json.dumps(content)


@pytest.mark.parametrize(
    "damage",
    [
        change,
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"layers"', '"layer"'),
        lambda text: text.replace('"base": null', '"base": -1'),
        lambda text: "\0",
    ],
)
def test_a_damaged_table_is_made_anew_with_a_notice(table, notices, damage):
    before = table()
    before(Clock(), layer("a"))
    path = before.path(Clock())
    path.write_text(damage(path.read_text()))
    count = len(measured)

    cost = table()(Clock(), layer("a"))
    assert cost == len(measured) == count + 1
    assert all("is damaged" in notice and "measured again" in notice for notice in notices)
    assert str(path) in notices[0]
    notices.clear()
    assert table()(Clock(), layer("a")) == cost
    assert not notices


def test_tables_of_several_processes_join(table):
    one, other = table(), table()
    one(Clock(), layer("a"))
    other(Clock(), layer("b"))  # neither has read what the other has written
    one(Clock(), layer("c"))
    names = set(json.loads(one.path(Clock()).read_text())["layers"])
    assert names == {f"{key} on 2x4x4" for key in "abc"}
    count = len(measured)
    assert one(Clock(), layer("b")) == other(Clock(), layer("b"))
    assert len(measured) == count


def test_nothing_is_lost_where_many_write_at_once(table):
    def measure(start: int) -> None:
        own = table()
        for number in range(start, start + 5):
            own(Clock(), layer(str(number)))

    threads = [Thread(target=measure, args=(start,)) for start in range(0, 20, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(table().path(Clock()).read_text())["layers"]) == 20


def test_where_nothing_can_be_written_costs_are_kept_for_this_process(tmp_path, notices):
    (tmp_path / "file").write_text("")
    own = LayerTable(notices.append, tmp_path / "file" / "layers")
    costs = [own(Clock(), layer(key)) for key in "aba"]
    assert costs[0] == costs[2] != costs[1]
    assert len(notices) == 1
    assert "not kept" in notices[0]


def test_what_is_measured_again_is_replaced_and_the_rest_of_the_table_stays(table):
    first = {key: table()(Clock(), layer(key)) for key in "ab"}
    own = table()
    again = own.measure_again(Clock(), layer("a"))
    assert again > first["a"]
    for each in (own, table()):
        assert (each(Clock(), layer("a")), each(Clock(), layer("b"))) == (again, first["b"])


@pytest.mark.skipif(sys.platform != "linux", reason="each system has a folder of its own")
def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("NASPLUG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "nasplug"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "nasplug"
