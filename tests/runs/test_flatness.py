from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import attrs
import numpy as np
import pytest
import torch

import nasplug.runs.flatness as flatness_module
from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.data import MemoryImages
from nasplug.parts.classification import CLASSIFICATION
from nasplug.runs.context import RunContext
from nasplug.runs.flatness import flatness
from nasplug.values import ImageShape, StepClock, Training
from nasplug.values.recipe import RunOptions
from nasplug.values.seeds import derive_seed

CLOCK = StepClock(steps_per_epoch=3, epochs=7)
ALL = {"sharpness", "alpha_eigenvalue", "supernet_error", "discrete_error", "gap_error", "gap_loss"}
SHARES = {"train.weights": np.arange(0, 30), "train.alpha": np.arange(30, 50), "train": np.arange(0, 50)}


@attrs.define
class Unlearnt(Bilevel):
    """Draws the first candidate of every edge and learns nothing about any."""

    learns_alpha = False

    def sample(self, space, choices, now):
        mask = torch.zeros_like(choices.kept)
        mask[:, 0] = True
        return mask


def measured(optimizer=None, validation=10, every=2, images=8, blockwise=False):
    """What measures a search of sixty images, each of which is as bright as its number."""
    pixels = torch.arange(60, dtype=torch.uint8)[:, None, None, None].expand(60, 1, 4, 4).contiguous()
    torch.manual_seed(0)
    space = Darts(operations=("nadd3",), cells=1, channels=2, nodes=1)
    context = SimpleNamespace(
        recipe=SimpleNamespace(
            run=RunOptions(measure_every=every, measure_images=images), search=Training(batch_size=8, augment="none")
        ),
        composition=SimpleNamespace(
            space=space, optimizer=optimizer or Bilevel(), teacher=SimpleNamespace(blockwise=blockwise)
        ),
        splits=SimpleNamespace(validation=np.arange(50, 50 + validation)),
        data=SimpleNamespace(train=MemoryImages(pixels, np.arange(60) % 3)),
        task=CLASSIFICATION,
        mean=(0.0,),
        std=(1 / 255,),
        device=torch.device("cpu"),
        device_options=SimpleNamespace(device_data=True),
        seed=lambda *words: derive_seed(7, *words),
    )
    context._batches_in_order = partial(RunContext._batches_in_order, context)
    context.sample_batches = partial(RunContext.sample_batches, context)
    return flatness(context, space.supernet(ImageShape(1, 4, 3)), SHARES)


@pytest.fixture
def seen(monkeypatch):
    """Which images each measurement was given."""
    given = {}

    def numbers(batches):
        return [sorted(int(number) for number in batch.images[:, 0, 0, 0].round()) for batch in batches]

    def noted(name, result):
        def note(*arguments, **named):
            given[name] = numbers(arguments[1]) if name != "gap" else {key: numbers(named[key]()) for key in named}
            return result

        return note

    monkeypatch.setattr(flatness_module, "sharpness", noted("sharpness", 1.0))
    monkeypatch.setattr(flatness_module, "alpha_eigenvalue", noted("eigenvalue", 2.0))
    monkeypatch.setattr(flatness_module, "discretisation", noted("gap", {"gap_error": 3.0}))
    return given


def test_measurements_come_at_the_end_of_every_second_epoch_and_at_the_end(seen):
    measure = measured()
    due = [now.step + 1 for now in CLOCK.since(0) if measure(now)]
    assert due == [6, 12, 18, 21]
    assert measure(CLOCK.at(5)) == {"sharpness": 1.0, "alpha_eigenvalue": 2.0, "gap_error": 3.0}


def test_a_long_interval_leaves_the_last_step(seen):
    measure = measured(every=25)
    assert [now.step + 1 for now in CLOCK.since(0) if measure(now)] == [21]


def test_nothing_is_measured_if_that_is_asked_or_blocks_learn_apart():
    assert measured(every=0) is None
    assert measured(blockwise=True) is None


def test_images_are_those_of_alpha_and_of_validation(seen):
    measured()(CLOCK.at(20))
    (batch,) = seen["sharpness"]
    assert len(batch) == len(set(batch)) == 8
    assert set(batch) <= set(range(30, 50))
    assert seen["eigenvalue"] == seen["sharpness"]
    assert [set(each) for each in seen["gap"]["calibration"]] == [set(range(30))]
    assert [set(each) for each in seen["gap"]["held_out"]] == [set(range(50, 60))]
    first = dict(seen)
    measured()(CLOCK.at(5))
    assert seen == first


def test_images_come_in_batches_that_leave_room_for_second_derivatives(seen):
    measured(images=40)(CLOCK.at(20))
    assert [len(batch) for batch in seen["sharpness"]] == [16, 4]


def test_an_undivided_split_and_no_validation_are_measured_on_training_images(seen):
    measured(OneLevel(), validation=0)(CLOCK.at(20))
    assert set(seen["sharpness"][0]) <= set(range(50))
    assert [set(each) for each in seen["gap"]["held_out"]] == [set(range(50))]


def test_an_alpha_that_is_not_learnt_has_neither_curvature_nor_gap():
    assert set(measured(Unlearnt())(CLOCK.at(20))) == {"sharpness"}
    assert set(measured()(CLOCK.at(20))) == ALL


def test_sharpness_is_that_of_the_candidates_drawn(monkeypatch):
    counted = []
    monkeypatch.setattr(
        flatness_module, "sharpness", lambda net, batches: counted.append(net.choices.active_columns) or 0.0
    )
    measured(Unlearnt())(CLOCK.at(20))
    assert counted == [((0,),) * 4]


def test_a_lack_of_memory_costs_a_figure_and_not_the_search(monkeypatch):
    def fails(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(flatness_module, "alpha_eigenvalue", fails)
    assert set(measured()(CLOCK.at(20))) == ALL - {"alpha_eigenvalue"}
