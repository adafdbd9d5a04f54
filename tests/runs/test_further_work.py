"""What selectors train and evaluate after a search: once, whatever stops it, and with the same result."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import save_file

from nasplug.compose import resolve
from nasplug.engine import further_work
from nasplug.errors import RunFailure
from nasplug.parts import Selector
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import add_objects
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.create import start
from nasplug.runs.measuring import plan_within
from nasplug.runs.retrain import train_task
from nasplug.runs.search import found_genotypes, search
from nasplug.runs.search_trainer import load_supernet
from nasplug.runs.summary import _divergence_notes
from nasplug.runs.training import Diverged, Stopped
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.workers import phase_journal
from nasplug.store.events import Journal, ignore_event, read_events
from nasplug.store.files import read_tensors
from nasplug.store.run_folder import RunFolder
from nasplug.values import Found, Genotype

pytestmark = pytest.mark.slow

HELD_OUT = "train.mine"


@attrs.define
class Tries(Selector):
    """Tunes the supernet twice, with one candidate less each time, trains a network, and finds two architectures."""

    evaluates = True
    score = "loss"
    best_first = True

    def splits(self):
        return {HELD_OUT: 0.25}

    def select(self, search_state):
        space, left = search_state.space, search_state.net.choices.kept.clone()
        losses = []
        for column in range(2):
            left[0, column] = False
            evaluated = yield from search_state.evaluate(left, HELD_OUT, 8)
            losses.append(evaluated.loss)
            yield from search_state.fine_tune(left, epochs=2, lr_share=0.5)
        losses.append((yield from search_state.evaluate(left, HELD_OUT, 8)).loss)
        genotypes = [space.random(search_state.random("mine", number)) for number in range(2)]
        errors = yield from search_state.train(genotypes, 1, HELD_OUT)
        assert all(0 <= error <= 1 for error in errors)
        yield Found(genotypes[0], 0, "tried", {"loss": sum(losses) + sum(errors)})
        yield Found(genotypes[1], 0, "tried", {"loss": losses[-1] - 100})


@attrs.define
class Nothing(Selector):
    """Finds nothing, or what `finds` says."""

    score = "loss"
    finds = ()

    def select(self, search_state):
        yield from self.finds


@attrs.define
class Late(Selector):
    """Trains a network after it has found an architecture."""

    def splits(self):
        return {HELD_OUT: 0.25}

    def select(self, search_state):
        genotype = search_state.space.random(search_state.random("mine"))
        yield Found(genotype, 0, "early")
        yield from search_state.train([genotype], 1, HELD_OUT)


@attrs.define
class Trains(Selector):
    """Trains two networks, and finds both with their errors."""

    needs_supernet = False
    score = "error"
    best_first = True

    def splits(self):
        return {HELD_OUT: 0.25}

    def select(self, search_state):
        genotypes = [search_state.space.random(search_state.random("mine", number)) for number in range(2)]
        errors = yield from search_state.train(genotypes, 1, HELD_OUT)
        for genotype, error in zip(genotypes, errors, strict=True):
            yield Found(genotype, 0, "trained", {"error": error})


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "images.safetensors", torch.arange(48) % 4)


def write_images(path: Path, labels: torch.Tensor) -> Path:
    shape, generator = (len(labels), 8, 8, 1), torch.Generator().manual_seed(0)
    save_file({"images": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator), "labels": labels}, path)
    return path


def begin(folder: Path, images: Path, selector: Selector, **options) -> RunContext:
    layer = {
        "space": {"part": "nb201", "cells": 1, "channels": 2},
        "optimizer": {"part": "bilevel"},
        "schedule": {"part": "keep"},
        "teacher": {"part": "labels"},
        "selector": {"part": f"python:test.{type(selector).__name__}"},
        "data": {"name": f"arrays:{images}", "validation": options.get("validation", 0.0)},
        "search": {"epochs": 2, "batch_size": 6, "lr": 0.05},
        "retrain": {"auxiliary": 0.0, "epochs": 1, "batch_size": 8, **options.get("retrain", {})},
        "select": options.get("select", {}),
        "run": {
            "method": "darts",
            "preset": "tiny",
            "threads": 1,
            "device": "cpu",
            "checkpoint_seconds": 0.0,
            "measure_every": 0,
        },
    }
    plugins = with_object(selector)
    return start(folder, plugins, resolve(plugins, [layer]), [])


def with_object(selector: Selector):
    return add_objects(load_plugins(quiet=True), {"selector": (f"python:test.{type(selector).__name__}", selector)})


def carry_on(context: RunContext, on_event=lambda event: None, stop=lambda: False) -> None:
    for _ in search(context, Journal(context.folder.events, on_event), stop, on_event):
        pass


def lines(context: RunContext) -> list[str]:
    return context.folder.events.read_text().splitlines()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, images) -> RunContext:
    context = begin(tmp_path_factory.mktemp("runs") / "whole", images, Tries())
    carry_on(context)
    return context


def test_a_selection_leaves_its_work_on_record_and_its_findings_in_order(whole):
    events = list(read_events(whole.folder.events))
    steps = Counter(event["phase"] for event in events if event["event"] == "step")
    assert steps["fine-tuning/1"] == steps["fine-tuning/2"] == steps["search"] > 2
    assert steps["trial/3"] == steps["trial/4"] > 0
    evaluated = [event for event in events if event["event"] == "evaluated"]
    assert [event["trainings"] for event in evaluated] == [0, 1, 2]
    assert {event["images"] for event in evaluated} == {8}
    assert [event["event"] for event in events[-2:]] == ["found", "found"]
    first, second = (event["loss"] for event in events[-2:])
    assert second < first
    assert [genotype.to_dict() for genotype in found_genotypes(whole)] == [
        event["genotype"] for event in reversed(events[-2:])
    ]
    assert not whole.folder.phase("fine-tuning").exists()


def test_training_after_a_finding_is_refused_and_leaves_a_journal_to_go_on_with(images, tmp_path):
    context = begin(tmp_path / "run", images, Late())
    for _ in range(2):  # and again when the run is resumed
        with pytest.raises(RunFailure, match="went on training after the first architecture that it found; tell its"):
            carry_on(context)
        context = reopen_context(RunFolder.existing(context.folder.path), with_object(Late()))
    assert [event["event"] for event in read_events(context.folder.events)].count("found") == 1


def keep_trials(monkeypatch) -> None:
    monkeypatch.setattr("nasplug.runs.search.discard_further_work", lambda context: None)


@pytest.mark.parametrize(("by", "name"), [("error", "val_error"), ("balanced", "balanced_val_error")])
def test_the_error_that_decides_is_what_a_selector_gets(tmp_path, monkeypatch, by, name):
    keep_trials(monkeypatch)
    images = write_images(tmp_path / "uneven.safetensors", torch.tensor([0] * 40 + [1] * 12 + [2] * 8))
    context = begin(tmp_path / "run", images, Trains(), select={"by": by}, validation=0.25)
    carry_on(context)
    records = [context.folder.done(f"trial/{number}") for number in (1, 2)]
    found = [event["error"] for event in read_events(context.folder.events) if event["event"] == "found"]
    assert found == [record[name] for record in records]
    assert all(record["val_error"] != record["balanced_val_error"] for record in records)


def test_a_network_that_diverges_counts_as_wrong_and_the_selection_goes_on(images, tmp_path, monkeypatch, capsys):
    keep_trials(monkeypatch)
    context = begin(tmp_path / "run", images, Trains(), retrain={"lr": 1e30, "clip": 0.0})
    carry_on(context)
    found = [event["error"] for event in read_events(context.folder.events) if event["event"] == "found"]
    assert found == [1.0, 1.0]
    record = context.folder.done("trial/1")
    assert record["val_counts"]["wrong"] == record["val_counts"]["images"]
    assert "NaN" in record["diverged"] or "nan" in record["diverged"] or "inf" in record["diverged"]
    assert not context.folder.checkpoint("trial/1").exists()
    assert context.folder.done("search")["diverged"] == 2
    (note,) = _divergence_notes(context, 2)
    assert note.startswith("2 of the trainings by which networks were chosen diverged: they count as the worst")
    assert capsys.readouterr().err.count("It counts as the worst, and the run goes on.") == 2


def test_of_numbers_no_network_is_worse_than_one_that_has_diverged(tmp_path, monkeypatch):
    keep_trials(monkeypatch)
    labels = torch.rand(48, 2, generator=torch.Generator().manual_seed(1))
    images = write_images(tmp_path / "numbers.safetensors", labels)
    context = begin(tmp_path / "run", images, Trains(), retrain={"lr": 1e30, "clip": 0.0})
    carry_on(context)
    found = [event["error"] for event in read_events(context.folder.events) if event["event"] == "found"]
    assert found == pytest.approx([1e6, 1e6])


def test_a_network_that_is_to_be_shipped_must_not_diverge(images, tmp_path):
    context = begin(tmp_path / "run", images, Trains(), retrain={"lr": 1e30, "clip": 0.0})
    space = context.composition.space
    plan = plan_within(context, space, space.random(context.random("any")), {})
    task = attrs.evolve(TrainingTask.retraining(context, plan), competes=False)
    with pytest.raises(Diverged, match=r"start again with --set retrain\.lr=2\.5e\+29"):
        for _ in train_task(context, task, phase_journal(context, task.phase, ignore_event), lambda: False):
            pass
    assert context.folder.done(task.phase) is None


def test_a_selector_that_finds_nothing_is_named(images, tmp_path):
    with pytest.raises(RunFailure, match=r"The selector '.*Nothing' found no architecture; tell its author\."):
        carry_on(begin(tmp_path / "run", images, Nothing()))


@pytest.mark.parametrize(
    ("phase", "count", "way"),
    [
        ("search", 5, "kill"),
        ("fine-tuning/1", 4, "stop"),
        ("fine-tuning/2", 3, "kill"),
        ("trial/3", 1, "stop"),
        ("trial/4", 2, "kill"),
    ],
)
def test_a_selection_that_is_interrupted_ends_alike(whole, images, tmp_path, phase, count, way):
    context = begin(tmp_path / "run", images, Tries())
    seen = Counter()

    def on_event(event) -> None:
        seen[event["phase"]] += 1
        if way == "kill" and seen[phase] == count:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, Stopped)):
        carry_on(context, on_event, stop=lambda: way == "stop" and seen[phase] >= count)
    again = reopen_context(RunFolder.existing(context.folder.path), with_object(Tries()))
    carry_on(again)
    assert lines(again) == lines(whole)


def test_what_was_evaluated_is_not_evaluated_again(whole, images, tmp_path, monkeypatch):
    context = begin(tmp_path / "run", images, Tries())
    seen = Counter()

    def on_event(event) -> None:
        seen.update([event["event"]])
        if seen["evaluated"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_on(context, on_event)
    calls, real = [], further_work.evaluate
    monkeypatch.setattr("nasplug.engine.further_work.evaluate", lambda *arguments: calls.append(1) or real(*arguments))
    carry_on(reopen_context(RunFolder.existing(context.folder.path), with_object(Tries())))
    assert len(calls) == 1
    assert lines(context) == lines(whole)


def test_the_supernet_stays_on_record_as_the_search_has_left_it(whole, images, tmp_path):
    context, before = begin(tmp_path / "run", images, Tries()), []

    def on_event(event) -> None:
        if event["event"] == "evaluated" and not before:
            before.append(read_tensors(context.folder.checkpoint("search"), "checkpoint"))

    carry_on(context, on_event)
    (tensors, facts), (after, counted) = before[0], read_tensors(context.folder.checkpoint("search"), "checkpoint")
    assert tensors.keys() == after.keys()
    assert all(torch.equal(tensors[name], after[name]) for name in tensors)
    assert counted["seconds"] > facts["seconds"]
    assert bool(load_supernet(context).choices.kept.all())


def test_a_selector_that_goes_on_otherwise_than_it_began_is_named(images, tmp_path):
    context = begin(tmp_path / "run", images, Tries())

    def on_event(event) -> None:
        if event["event"] == "evaluated":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_on(context, on_event)
    events = [json.loads(line) for line in lines(context)]
    rows = [{name: value for name, value in event.items() if name != "check"} for event in events]
    rows[-1]["candidates"] = "0" * 12
    context.folder.events.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RunFailure, match="does not go on as it began: its evaluation number 1 is of other candidates"):
        carry_on(reopen_context(RunFolder.existing(context.folder.path), with_object(Tries())))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measures": {"loss": float("nan")}}, "the score 'loss' of nan, which is no number"),
        ({"measures": {}}, "the score 'loss' of nothing, which is no number"),
        ({"genotype": Genotype("nb201", {})}, "an architecture that the space 'nb201' refuses"),
    ],
)
def test_what_a_selector_must_not_find_is_refused_in_a_sentence(images, tmp_path, monkeypatch, change, words):
    context = begin(tmp_path / "run", images, Nothing())
    found = Found(context.composition.space.random(context.random("any")), 0, "", {"loss": 1.0})
    monkeypatch.setattr(Nothing, "finds", (attrs.evolve(found, **change),))
    with pytest.raises(RunFailure, match=words) as failure:
        carry_on(context)
    assert str(failure.value).endswith("tell its author.")
    assert "found" not in {event["event"] for event in read_events(context.folder.events)}
