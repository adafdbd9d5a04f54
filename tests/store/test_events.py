from __future__ import annotations

import pytest

from nasplug.errors import InputError, RunFailure
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


def test_a_write_that_a_full_disk_cut_off_anywhere_does_not_count(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "search", 2)
    whole = path.read_text()
    last = whole.rindex("\n", 0, -1) + 1
    for end in range(last, len(whole) - 1):
        path.write_text(whole[:end])
        assert len(list(read_events(path))) == 1
    path.write_text(whole[:-1])  # all but the end of the line
    assert len(list(read_events(path))) == 2
    path.write_text(whole[:-2] + " ")
    with pytest.raises(InputError, match="has no end"):
        list(read_events(path))


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


def test_a_tail_gives_what_follows_the_events_that_it_counts_each_line_once_it_is_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    nothing_yet = Tail(path, 0)
    assert nothing_yet.read() == []
    journal = _written(path, "retrain/a", 3)
    tail = Tail(path, 3)
    assert [event["step"] for event in Tail(path, 1).read()] == [1, 2]
    assert Tail(path, 4).read() == []

    assert [event["step"] for event in nothing_yet.read()] == [0, 1, 2]
    journal.append("retrain/a", {"event": "step", "step": 3})
    with path.open("a") as stream:
        stream.write('{"event": "step", "phase": "retrain/a", "st')
    assert [event["step"] for event in tail.read()] == [3]
    with path.open("a") as stream:
        stream.write('ep": 4}\n')
    assert [event["step"] for event in tail.read()] == [4]
    assert tail.read() == []


def test_what_happens_again_after_a_process_was_lost_is_given_once(tmp_path):
    path = tmp_path / "events.jsonl"
    journal = _written(path, "retrain/a", 3)
    tail = Tail(path, 3)
    for step in (3, 4, 5):
        journal.append("retrain/a", {"event": "step", "step": step})
    assert [event["step"] for event in tail.read()] == [3, 4, 5]

    again = Journal(path, lambda event: None)
    again.cut(2)
    assert tail.read() == []
    for step in (2, 3, 4):
        again.append("retrain/a", {"event": "step", "step": step})
    assert tail.read() == []
    for step in (5, 6):
        again.append("retrain/a", {"event": "step", "step": step})
    assert [event["step"] for event in tail.read()] == [6]

    path.unlink()  # no checkpoint at all: the phase starts from its first step
    assert tail.read() == []
    _written(path, "retrain/a", 9)
    assert [event["step"] for event in tail.read()] == [7, 8]


def test_a_phase_that_begins_again_drops_what_it_had_recorded(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "teacher", 2)
    journal = _written(path, "search", 3)
    journal.drop("search")

    assert (journal.count, [event["phase"] for event in read_events(path)]) == (2, ["teacher"] * 2)


def test_events_of_one_kind_are_dropped_wherever_they_stand(tmp_path):
    path = tmp_path / "events.jsonl"
    journal = _written(path, "search", 2)
    journal.append("search", {"event": "found", "step": 2, "reason": "any", "genotype": {}})
    journal.append("trial/1", {"event": "step", "step": 1})
    journal.drop("search", "found")

    kept = [(event["phase"], event["event"]) for event in read_events(path)]
    assert kept == [("search", "step")] * 2 + [("trial/1", "step")]
    journal.append("search", {"event": "found", "step": 2, "reason": "any", "genotype": {}})
    assert len(list(read_events(path))) == journal.count == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:1] + lines[2:],  # one is lost
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace('"loss": 1.5', '"loss": 1.25'), *lines[1:]],
        lambda lines: [lines[0].replace('"check": "', '"check": "f', 1), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1][:-1] + "J"],  # one bit of the last line's end
    ],
)
def test_a_line_that_is_changed_lost_or_moved_is_noticed(tmp_path, damage):
    path = tmp_path / "events.jsonl"
    journal = Journal(path, lambda event: None)
    for step in range(4):
        journal.append("search", {"event": "step", "step": step, "loss": 1.5})
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))

    with pytest.raises(InputError, match=r"is damaged: the line .*; restore it from a copy of the run"):
        list(read_events(path))


def test_a_last_line_that_lost_only_its_end_counts(tmp_path):
    path = tmp_path / "events.jsonl"
    _written(path, "search", 2)
    path.write_text(path.read_text()[:-1])

    assert len(list(read_events(path))) == 2
    Journal(path, lambda event: None).append("search", {"event": "step", "step": 2})
    assert [event["step"] for event in read_events(path)] == [0, 1, 2]


def test_lines_of_earlier_versions_have_no_checksum_and_new_ones_follow_them(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "step", "phase": "search", "step": 0}\n')
    Journal(path, lambda event: None).append("search", {"event": "step", "step": 1})

    assert ["check" in event for event in read_events(path)] == [False, True]


def test_a_journal_with_fewer_events_than_its_checkpoint_is_refused(tmp_path):
    journal = _written(tmp_path / "events.jsonl", "search", 2)
    with pytest.raises(InputError, match=r"has lost events: 3 were written .* 2 are left"):
        journal.cut(3)


@pytest.mark.parametrize("step", ['"1"', "-1", "1.5", "true", "1e999"])
def test_counts_of_an_event_are_whole_numbers(tmp_path, step):
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"event": "step", "phase": "search", "step": {step}}}\n')
    with pytest.raises(InputError, match="must be a whole number"):
        list(read_events(path))
