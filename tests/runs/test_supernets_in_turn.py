"""Runs whose schedule asks for several supernets, one after the other."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
import torch

from nasplug.compose import resolve
from nasplug.parts import PruningSchedule
from nasplug.plugins import load_plugins
from nasplug.runs.create import start
from nasplug.runs.estimate import estimate_run
from nasplug.runs.search import begin_search
from nasplug.runs.search_trainer import load_supernet
from nasplug.runs.training import run_training
from nasplug.store.events import Journal, ignore_event
from nasplug.values import Verdict


@attrs.define
class Halves(PruningSchedule):
    """Two supernets, of three cells and four, the second with the first two candidates of every choice."""

    seen: list = attrs.field(factory=list)

    def later_spaces(self, space):
        return (space.scaled(cells=4),)

    def after_step(self, choices, now):
        self.seen.append((now.supernet, now.epoch, now.ends_supernet, choices.active_count))
        doomed = torch.zeros_like(choices.kept)
        doomed[:, 2:] = now.ends_supernet and now.supernet == 0
        return Verdict(deleted=choices.delete(doomed))


@pytest.fixture
def context(few_images, tmp_path):
    layer = {
        "run": {"method": "darts", "preset": "tiny", "jobs": 1, "threads": 1, "device": "cpu", "checkpoint_seconds": 0},
        "data": {"name": f"arrays:{few_images}", "validation": 0.0},
        "space": {"cells": 3, "channels": 2, "nodes": 1},
        "optimizer": {"warm_up": 1},
        "search": {"batch_size": 8, "epochs": 4},
        "retrain": {"batch_size": 32, "epochs": 1, "widths": [2]},
    }
    started = start(tmp_path / "run", load_plugins(), resolve(load_plugins(), [layer]), [])
    return attrs.evolve(started, composition=attrs.evolve(started.composition, schedule=Halves()))


def test_each_supernet_is_estimated_with_the_candidates_that_it_has(context):
    first, second, _ = estimate_run(context)
    assert (first.name, second.name) == ("search/1", "search/2")
    assert first.steps == second.steps > 0
    seen = context.composition.schedule.seen
    assert all(epoch > 0 for _, epoch, _, _ in seen)  # alpha rests in the first epoch, which takes less
    assert [supernet for supernet, _, ends, _ in seen if ends] == [0]
    counts = {supernet: {count for number, _, _, count in seen if number == supernet} for supernet in (0, 1)}
    assert counts == {0: {4 * 8}, 1: {4 * 2}}


def test_a_run_leaves_the_last_supernet_and_counts_its_stages(context):
    trainer = begin_search(context, lambda _, net: None)
    journal = Journal(context.folder.events, ignore_event)
    list(run_training(context, trainer, None, journal, lambda: False))
    left = load_supernet(context)
    assert len(left.cells) == 4
    for name, value in trainer.net.state_dict().items():
        assert torch.equal(value, left.state_dict()[name]), name
    steps = Counter(supernet for supernet, _, _, _ in context.composition.schedule.seen)
    assert steps[0] == steps[1] == trainer.steps // 2
