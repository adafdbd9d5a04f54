from __future__ import annotations

import gc
import weakref
from random import Random

import attrs
import pytest
import torch
from torch import nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.parts import Batch, LabelRater, Layer
from nasplug.supernets import Norm, PathRating, recalibrate
from nasplug.supernets.normalise import measure_statistics
from nasplug.values import ImageShape

SPACES = {
    # The middle one of its blocks has two cells.
    "darts": Darts(topology="per-cell", operations=("nadd3",), nodes=2, channels=2, cells=5),
    "mbconv": MBConvSpace(blocks=("s1 1x8 2x8 1x12", "s2 2x8"), kernels=(3, 5), expansions=(1,), channels=4),
    "nb201": NasBench201(channels=2, cells=1),
}


def batches(size: int, *counts: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(len(counts))
    return [
        Batch(torch.randn(count, 1, size, size, generator=generator).double(), torch.arange(count) % 5)
        for count in counts
    ]


def rating_of(layered, space, block: int | None, shape: ImageShape, calibration=(6,), images=(5, 2)) -> PathRating:
    torch.manual_seed(0)
    net = space.supernet(shape).double()
    for norm in net.modules():
        if isinstance(norm, Norm) and norm.weight is not None:
            nn.init.normal_(norm.weight)
    view = net.whole() if block is None else net.blocks()[block]
    rater = LabelRater(view) if block is None else layered.TargetRater(view, block)
    return PathRating(net, space, rater, batches(shape.size, *calibration), batches(shape.size, *images))


class Alone(nn.Module):
    """A block as a network of its own."""

    def __init__(self, view) -> None:
        super().__init__()
        self.view, self.parts = view, nn.ModuleList(view.modules)

    def forward(self, maps):
        return self.view(maps)


@torch.no_grad()
def one_by_one(rating: PathRating, path) -> float:
    """A path computed as a whole, its norms measured beforehand by the plain way."""
    net, rater = Alone(rating.rater.view), rating.rater
    with rating.net.choices.only(rating.space.encode(path, rating.net.choices)):
        recalibrate(net, [rater.inputs(batch) for batch in rating.calibration])
        net.eval()
        terms = [float(rater.rate(net(rater.inputs(batch)), batch)) * len(batch.labels) for batch in rating.images]
    return sum(terms) / sum(len(batch.labels) for batch in rating.images)


@pytest.mark.parametrize("block", [0, 1, None])
@pytest.mark.parametrize("calibration", [(6,), (6, 4)])
def test_depth_first_is_one_by_one(layered, block, calibration):
    space = layered.Layered()
    rating = rating_of(layered, space, block, layered.SHAPE, calibration)
    paths = list(space.paths(block).select(40, Random(0)))
    ratings = {rated.path: rated.rating for rated in rating.rate(paths)}
    assert ratings.keys() == set(paths)
    assert len(set(ratings.values())) > len(paths) / 2
    for path in paths:
        assert ratings[path] == pytest.approx(one_by_one(rating, path), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "block"),
    [("darts", 0), ("darts", 1), ("darts", None), ("mbconv", 0), ("mbconv", 1), ("mbconv", None), ("nb201", None)],
)
def test_depth_first_is_one_by_one_in_every_space(layered, name, block):
    space = SPACES[name]
    rating = rating_of(layered, space, block, ImageShape(1, 8, 5))
    paths = list(space.paths(block).select(6, Random(0)))
    if block is None:  # and some that share their first blocks
        paths += [path for path in {space.mutate(path, Random(1)) for path in paths} if path not in paths]
    ratings = {rated.path: rated.rating for rated in rating.rate(paths)}
    assert len(set(ratings.values())) > 2
    for path in paths:
        assert ratings[path] == pytest.approx(one_by_one(rating, path), rel=1e-9)
    assert rating.evaluations <= len(paths) * len(rating.rater.view.layers)


def test_the_rater_is_told_the_images_of_the_norms_first(layered, monkeypatch):
    rating = rating_of(layered, layered.Layered(), 0, layered.SHAPE, calibration=(6, 4))
    calls = []
    monkeypatch.setattr(type(rating.rater), "prepare", lambda _, batches: calls.append([*batches]))
    original = type(rating.rater).inputs
    monkeypatch.setattr(
        type(rating.rater), "inputs", lambda rater, batch: calls.append(batch) or original(rater, batch)
    )
    paths = list(layered.Layered().paths(0).select(3, Random(0)))
    list(rating.rate(paths))
    assert calls == [rating.calibration, *rating.calibration, *rating.images]
    calls.clear()
    list(rating.rate(paths, rated=set(paths)))
    assert calls == []


def test_shallow_cells_pay_for_their_own_layers_alone(layered):
    rating = rating_of(layered, SPACES["mbconv"], 0, ImageShape(1, 8, 5))
    # Two operations: cells of one layer have 2 paths, the one of two layers has 2 + 4 layers to compute.
    assert len(list(rating.rate(SPACES["mbconv"].paths(0).enumerate()))) == 2 + 4 + 2
    assert rating.evaluations == 2 + (2 + 4) + 2


@pytest.mark.parametrize(
    ("block", "count", "computed"),
    # Of block 1 a quarter of the paths end after two layers, and the third lets their features pass.
    [(0, 9, 3 + 9), (1, 36, 3 + 9 + 27)],
)
def test_a_layer_is_computed_once_for_all_paths_that_share_it(layered, block, count, computed):
    space = layered.Layered()
    rating = rating_of(layered, space, block, layered.SHAPE, (2,), (2,))
    paths = list(space.paths(block).enumerate())
    first = [(rated.path, rated.rating) for rated in rating.rate(paths)]
    assert len(first) == count
    assert rating.evaluations == computed
    Random(0).shuffle(paths)
    again = {rated.path: rated.rating for rated in rating.rate(paths)}
    assert rating.evaluations == 2 * computed
    assert again == pytest.approx(dict(first), rel=1e-12)


def test_a_sample_shares_what_it_has_in_common(layered):
    space = layered.Layered()
    rating = rating_of(layered, space, 0, layered.SHAPE)
    picked = {("narrow", "mid"), ("wide", "mid"), ("narrow", "wide")}
    paths = [path for path in space.paths(0).enumerate() if (path["0/0"][0], path["0/1"][0]) in picked]
    assert len(list(rating.rate(paths))) == 3
    assert rating.evaluations == 2 + 3


@pytest.mark.parametrize("done", [5, 20, 36])
def test_what_is_rated_already_is_not_rated_again(layered, done):
    space = layered.Layered()
    whole, rest = (rating_of(layered, space, 1, layered.SHAPE) for _ in range(2))
    paths = list(space.paths(1).select(36, Random(3)))
    Random(1).shuffle(paths)
    expected = list(whole.rate(paths))
    assert list(rest.rate(paths, {rated.path for rated in expected[:done]})) == expected[done:]
    assert rest.evaluations < whole.evaluations
    assert (rest.evaluations == 0) == (done == 36)


@pytest.mark.parametrize(("seconds", "computed"), [(-1.0, 2), (float("inf"), 3 + 9 + 27)])
def test_ratings_are_read_in_groups_of_those_of_some_time(layered, monkeypatch, seconds, computed):
    space = layered.Layered()
    paths = list(space.paths(1).enumerate())
    expected = list(rating_of(layered, space, 1, layered.SHAPE).rate(paths))
    monkeypatch.setattr("nasplug.supernets.rating.READ_AFTER", seconds)
    rating = rating_of(layered, space, 1, layered.SHAPE)
    walk = rating.rate(paths)
    first = next(walk)
    # One path of two layers, or all of them: the host waits for the device once in each group.
    assert rating.evaluations == computed
    assert [first, *walk] == expected


def test_layers_measure_the_norms_that_they_compute_with_and_no_others(layered, monkeypatch):
    touched = []

    def watched(norms):
        touched.append(len(norms))
        return measure_statistics(norms)

    monkeypatch.setattr("nasplug.supernets.rating.measure_statistics", watched)
    space = SPACES["mbconv"]
    rating = rating_of(layered, space, 1, ImageShape(1, 8, 5))
    paths = list(space.paths(1).enumerate())
    assert len(list(rating.rate(paths))) == 4
    # Two layers of two candidates each, with three norms each. On the way in and out there is none.
    assert [count for count in touched if count] == [6, 6, 6, 6, 3, 3]
    assert touched.count(0) == 1 + len(paths)


@pytest.mark.parametrize("training", [True, False])
def test_the_supernet_is_left_as_it_was(layered, training):
    space = layered.Layered()
    rating = rating_of(layered, space, 1, layered.SHAPE)
    net = rating.net.train(training)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    walk = rating.rate(space.paths(1).enumerate())
    assert next(walk).block == 1
    assert net.choices.active_count == net.choices.valid_mask.sum()
    assert torch.is_grad_enabled()
    walk.close()
    assert all(module.training == training for module in net.modules())
    assert all(norm.batches == 0 and not norm.is_measuring for norm in net.modules() if isinstance(norm, Norm))
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


def test_nothing_is_dropped_while_paths_are_rated(layered):
    space = layered.Layered()
    rating = rating_of(layered, space, None, layered.SHAPE)
    paths = list(space.paths(None).select(4, Random(0)))
    plain = list(rating.rate(paths))
    rating.net.head.insert(0, nn.Dropout(0.5))
    assert list(rating.rate(paths)) == plain


def test_paths_through_deleted_candidates_are_left_out(layered):
    space = layered.Layered()
    rating = rating_of(layered, space, 0, layered.SHAPE)
    doomed = torch.zeros_like(rating.net.choices.kept)
    doomed[rating.net.choices.rows["0/1"], 2] = True
    rating.net.choices.delete(doomed)
    cells = [rated.path["0/1"] for rated in rating.rate(space.paths(0).enumerate())]
    assert sorted(cells) == [("mid",)] * 3 + [("narrow",)] * 3


def test_only_features_along_one_path_are_held(layered):
    space = layered.Layered()
    rating = rating_of(layered, space, None, layered.SHAPE, (2,), (2, 2))
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def watched(layer: Layer) -> Layer:
        def compute(state):
            nonlocal most
            result = layer.compute(state)
            alive.add(result)
            most = max(most, len(alive))
            return result

        return attrs.evolve(layer, compute=compute)

    view = rating.rater.view
    rating.rater.view = attrs.evolve(view, layers=tuple(map(watched, view.layers)))
    gc.collect()
    assert len(list(rating.rate(space.paths(None).select(60, Random(0))))) == 60
    # Five layers and three batches.
    assert most == 15
