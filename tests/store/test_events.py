from __future__ import annotations

import pytest

from nasplug.errors import RunFailure
from nasplug.store.events import Journal, Tail, keep_phases, merge_journals, read_events


def _written(path, phase, count):
    journal = Journal(path, lambda event: None)
    for step in range(count):
        journal.append(phase, {"event": "step", "step": step})
    return journal


def test_events_are_cut_back_to_a_checkpoint(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "search", 5).cut(3)

    assert [event["step"] for event in read_events(path)] == [0, 1, 2]


def test_half_a_line_does_not_count(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "search", 2)
    with path.open("a") as stream:
        stream.write('{"event": "st')

    assert Journal(path, lambda event: None).count == 2
    assert len(list(read_events(path))) == 2


def test_observers_hear_of_events_that_are_on_disk(tmp_path):
    path = tmp_path / "events.jsonl"
    on_disk = []
    journal = Journal(path, lambda event: on_disk.append(event in list(read_events(path))))
    journal.append("search", {"event": "step", "step": 0})

    assert on_disk == [True]


def test_gathering_twice_gives_the_same_file(tmp_path):
    main = tmp_path / "events.jsonl"
    _written(main, "search", 2)
    parts = []
    for phase in ("retrain/a", "retrain/b"):
        path = tmp_path / phase.replace("/", "-")
        _written(path, phase, 3)
        parts.append((phase, path))

    merge_journals(main, parts)
    once = main.read_text()
    merge_journals(main, parts)

    assert main.read_text() == once
    assert [event["phase"] for event in read_events(main)] == ["search"] * 2 + ["retrain/a"] * 3 + ["retrain/b"] * 3
    keep_phases(main, ("search",))
    assert len(list(read_events(main))) == 2


def test_a_disk_that_takes_no_more_is_a_failure(tmp_path):
    journal = _written(tmp_path / "events.jsonl", "search", 1)
    journal.path = tmp_path / "gone" / "events.jsonl"
    with pytest.raises(RunFailure, match="takes no more events"):
        journal.append("search", {"event": "step"})


def test_a_tail_gives_what_is_appended_from_now_on_each_line_once_it_is_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    nothing_yet = Tail(path)
    assert nothing_yet.read() == []
    journal = _written(path, "retrain/a", 3)
    tail = Tail(path)

    assert [event["step"] for event in nothing_yet.read()] == [0, 1, 2]
    journal.append("retrain/a", {"event": "step", "step": 3})
    with path.open("a") as stream:
        stream.write('{"event": "step", "phase": "retrain/a", "st')
    assert [event["step"] for event in tail.read()] == [3]
    with path.open("a") as stream:
        stream.write('ep": 4}\n')
    assert [event["step"] for event in tail.read()] == [4]
    assert tail.read() == []


def test_a_phase_that_begins_again_drops_what_it_had_recorded(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "teacher", 2)
    journal = _written(path, "search", 3)
    journal.drop("search")

    assert (journal.count, [event["phase"] for event in read_events(path)]) == (2, ["teacher"] * 2)
