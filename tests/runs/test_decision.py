"""Ratings on record: a search that is killed while it rates goes on with them and ends the same."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from nasplug.builtin.selectors.rating import Rating
from nasplug.compose import resolve
from nasplug.errors import InputError, RunFailure
from nasplug.plugins import load_plugins
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.create import start
from nasplug.runs.search import search
from nasplug.runs.training import Stopped
from nasplug.store.events import Journal, read_events
from nasplug.store.run_folder import RunFolder
from nasplug.values import Rated

PLUGINS = load_plugins()
RATED = 8


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Sixty images sorted by their four classes."""
    path = tmp_path_factory.mktemp("images") / "images.safetensors"
    pixels = torch.randint(0, 256, (60, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"images": pixels, "labels": torch.arange(60) // 15}, path)
    return path


def begin(folder: Path, images: Path) -> RunContext:
    layer = {
        "space": {"part": "darts", "cells": 3, "nodes": 2, "channels": 2, "operations": ["nadd3"]},
        "optimizer": {"part": "single-path", "rating_limit": RATED, "rating_share": 0.5},
        "schedule": {"part": "keep"},
        "teacher": {"part": "labels"},
        "data": {"name": f"arrays:{images}", "validation": 0.0},
        "search": {"epochs": 1, "batch_size": 8, "lr": 0.01},
        "retrain": {"auxiliary": 0.0},
        "run": {"method": "darts", "preset": "tiny", "threads": 1, "device": "cpu"},
    }
    return start(folder, PLUGINS, resolve(PLUGINS, [layer]), [])


def carry_on(context: RunContext, on_event=lambda event: None, stop=lambda: False) -> None:
    for _ in search(context, Journal(context.folder.events, on_event), stop):
        pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory, images) -> RunContext:
    """A search that nothing disturbed."""
    context = begin(tmp_path_factory.mktemp("runs") / "whole", images)
    carry_on(context)
    return context


def write_lines(context: RunContext, changed) -> None:
    """Replaces the events by changed ones without checksums, as earlier versions wrote them."""
    events = [json.loads(line) for line in changed]
    rows = [json.dumps({name: value for name, value in event.items() if name != "check"}) for event in events]
    context.folder.events.write_text("\n".join(rows) + "\n")


def killing(event: str, count: int):
    """Kills the process when so many events of a kind are on disk."""
    seen = Counter()

    def on_event(record) -> None:
        seen[record["event"]] += 1
        if seen[event] == count:
            raise Killed

    return on_event


def lines(context: RunContext) -> list[str]:
    return context.folder.events.read_text().splitlines()


def check_equal(broken: RunContext, whole: RunContext) -> None:
    assert lines(broken) == lines(whole)
    assert (broken.folder.path / "ratings.json").read_text() == (whole.folder.path / "ratings.json").read_text()
    assert broken.folder.done("search")["ratings"] == whole.folder.done("search")["ratings"]


def test_every_path_is_on_record_once_and_ratings_come_before_what_was_found(whole):
    kinds = [event["event"] for event in read_events(whole.folder.events)]
    steps, found = kinds.count("step"), kinds.count("found")
    assert kinds == ["step"] * steps + ["rated"] * RATED + ["found"] * found
    assert steps == 3
    assert found > 0
    ratings = json.loads((whole.folder.path / "ratings.json").read_text())
    (block,) = ratings["blocks"]
    recorded = [event for event in read_events(whole.folder.events) if event["event"] == "rated"]
    assert [(each["path"], each["rating"]) for each in block["ratings"]] == [
        (event["path"], event["rating"]) for event in recorded
    ]
    assert whole.folder.done("search")["ratings"] == [
        {"block": None, "paths": whole.composition.space.paths(None).count, "rated": RATED}
    ]


def test_a_search_killed_again_and_again_while_it_rates_goes_on_where_it_was(whole, images, tmp_path):
    context = begin(tmp_path / "broken", images)
    for event, count, recorded in (("rated", 3, 3), ("rated", 2, 5), ("rated", 3, 8), ("found", 1, 8)):
        with pytest.raises(Killed):
            carry_on(context, killing(event, count))
        with context.folder.events.open("a") as stream:
            stream.write('{"event": "rated", "phase": "sea')  # a line that the disk took half of
        context = reopen_context(RunFolder.existing(tmp_path / "broken"), PLUGINS)
        assert sum(each["event"] == "rated" for each in read_events(context.folder.events)) == recorded
    carry_on(context)
    check_equal(context, whole)


def test_ratings_that_were_made_are_kept_not_made_again(whole, tmp_path):
    shutil.copytree(whole.folder.path, tmp_path / "broken")
    context = reopen_context(RunFolder.existing(tmp_path / "broken"), PLUGINS)
    (context.folder.phase("search") / "done.json").unlink()
    marked = [line.replace('"rating": ', '"rating": 7') if '"rated"' in line else line for line in lines(context)]
    write_lines(context, marked)
    carry_on(context)
    again = [event["rating"] for event in read_events(context.folder.events) if event["event"] == "rated"]
    assert len(again) == RATED
    assert min(again) >= 7


def test_a_search_stops_between_two_ratings(whole, images, tmp_path):
    context = begin(tmp_path / "stopped", images)
    rated = Counter()
    with pytest.raises(Stopped):
        carry_on(context, lambda event: rated.update([event["event"]]), lambda: rated["rated"] == 4)
    assert rated == {"step": 3, "rated": 4}
    carry_on(reopen_context(RunFolder.existing(tmp_path / "stopped"), PLUGINS))
    check_equal(context, whole)


def test_the_time_of_rating_is_part_of_the_cost_though_it_was_interrupted(images, tmp_path, monkeypatch):
    hours = Counter()  # every rating takes one, and nothing else takes any time
    monkeypatch.setattr("nasplug.runs.training.time", SimpleNamespace(monotonic=lambda: 3600.0 * hours["rated"]))
    context = begin(tmp_path / "timed", images)
    with pytest.raises(Stopped):
        carry_on(context, lambda event: hours.update([event["event"]]), lambda: hours["rated"] == 3)
    context = reopen_context(RunFolder.existing(tmp_path / "timed"), PLUGINS)
    carry_on(context, lambda event: hours.update([event["event"]]))
    assert context.folder.done("search")["cost"]["seconds"] == RATED * 3600


def test_a_damaged_rating_is_refused(whole, tmp_path):
    shutil.copytree(whole.folder.path, tmp_path / "broken")
    context = reopen_context(RunFolder.existing(tmp_path / "broken"), PLUGINS)
    write_lines(context, [line.replace('"rating": ', '"grade": ') for line in lines(context)])
    with pytest.raises(InputError, match=r"A rating in '.*events\.jsonl' is damaged"):
        carry_on(context)


def test_images_to_rate_on_are_of_all_classes_though_the_data_are_sorted(whole, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Rating, "select", lambda self, search_state: asked.append(search_state) or iter(()))
    shutil.copytree(whole.folder.path, tmp_path / "again")
    with pytest.raises(RunFailure, match="The selector 'rating' found no architecture"):
        carry_on(reopen_context(RunFolder.existing(tmp_path / "again"), PLUGINS))
    (search_state,) = asked
    for split in ("train.weights", "train.rating"):
        (first,), (second,) = (list(search_state.images(split, 12)) for _ in range(2))
        assert len(first.labels) == 12
        assert torch.equal(first.images, second.images)
        assert set(first.labels.tolist()) == {0, 1, 2, 3}
    shares = [
        torch.cat([batch.images.flatten(1) for batch in search_state.images(split, 99)])
        for split in ("train.weights", "train.rating")
    ]
    assert list(map(len, shares)) == [24, 24]
    assert not (shares[0][:, None] == shares[1]).all(2).any()


@pytest.mark.parametrize("rating", [torch.nan, torch.inf])
def test_a_rating_without_a_place_in_any_order_ends_the_run(tmp_path, images, monkeypatch, rating):
    def rate(self, search_state, paths):
        yield Rated(block=None, path=paths[None][0], rating=rating)

    monkeypatch.setattr(Rating, "_rate", rate)
    context = begin(tmp_path / "run", images)
    with pytest.raises(RunFailure, match=rf"the rating of the path .* through the network is {rating}"):
        carry_on(context)
    assert not [event for event in read_events(context.folder.events) if event["event"] == "rated"]
