from __future__ import annotations

import math
from collections import Counter
from itertools import product

import attrs
import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.selectors.rating import Rating
from nasplug.errors import InputError, RunFailure
from nasplug.parts import Batch, CostMeasure, CostModel, LabelRater, LayerSpec, SearchState
from nasplug.values import Found, Genotype, ImageShape, Rated, Step, Unit


@pytest.fixture
def space(layered):
    return layered.Layered()


def search_state(layered, space, whole: bool = False, **changes: object) -> SearchState:
    torch.manual_seed(0)
    net = space.supernet(layered.SHAPE).double()

    def images(split: str, count: int):
        generator = torch.Generator().manual_seed(len(split))
        images.asked.append((split, count))
        yield Batch(torch.randn(6, 1, 4, 4, generator=generator).double(), torch.arange(6) % 5)

    images.asked = []
    views = enumerate(net.blocks())
    raters = [LabelRater(net.whole())] if whole else [layered.TargetRater(view, block) for block, view in views]
    fields = {
        "net": net,
        "snapshots": (),
        "images": images,
        "seed": 5,
        "raters": raters,
        "weights_split": "train.weights",
    }
    return SearchState(space, layered.SHAPE, **(fields | changes))


def split_events(events) -> tuple[list[Rated], list[Found]]:
    rated, found = [], []
    for event in events:
        assert isinstance(event, Found) or not found  # all ratings come first
        (found if isinstance(event, Found) else rated).append(event)
    return rated, found


@pytest.fixture(scope="module")
def decided(layered) -> tuple[SearchState, list[Rated], list[Found]]:
    """All paths of both blocks rated, and the Pareto front of architectures."""
    state = search_state(layered, layered.Layered())
    return state, *split_events(Rating(trail=0).select(state))


@pytest.fixture(scope="module")
def graded(layered, decided) -> tuple[SearchState, list[Rated], list[Found]]:
    """The same with ratings that reward params, so that the front is long."""
    state, rated, _ = decided
    prices = [layered.Layered().path_cost(path.block, path.path, None, layered.SHAPE).params for path in rated]
    better = [attrs.evolve(path, rating=path.rating - price / 50) for path, price in zip(rated, prices, strict=True)]
    state = attrs.evolve(state, rated=better)
    _, found = split_events(Rating(trail=0).select(state))
    assert len(found) > 8
    return state, better, found


def brute_force(space, rated: list[Rated], shape, params=10**9, macs=10**9) -> list[tuple[float, int]]:
    """Rating and params of the front, by trying every combination."""
    ratings = {(path.block, path.path): path.rating for path in rated}
    every = []
    for first, second in product(space.paths(0).enumerate(), space.paths(1).enumerate()):
        cost = space.cost(Genotype.join([first, second]), shape)
        if cost.params <= params and cost.macs <= macs:
            every.append((cost.params, ratings[0, first] + ratings[1, second]))
    front: list[tuple[int, float]] = []
    for params, rating in sorted(every):
        if not front or rating < front[-1][1]:
            front.append((params, rating))
    return front


def params_and_ratings(space, found: list[Found], shape) -> list[tuple[int, float]]:
    return [(space.cost(event.genotype, shape).params, event.measures["rating"]) for event in found]


def test_all_paths_are_rated_and_the_whole_front_is_found(layered, space, decided):
    _, rated, found = decided
    assert Counter(path.block for path in rated) == {0: 9, 1: 36}
    assert params_and_ratings(space, found, layered.SHAPE) == brute_force(space, rated, layered.SHAPE)
    assert {event.reason for event in found} == {"rated"}
    assert {event.genotype for event in found} <= set(space.paths(None).enumerate())


@pytest.mark.parametrize("limits", [{"params": 70}, {"macs": 30}, {"params": 90, "macs": 35}])
def test_limits_hold_and_exclude_nothing_that_they_allow(layered, space, graded, limits):
    state, rated, whole = graded
    _, found = split_events(Rating(trail=0).select(attrs.evolve(state, budgets=[limits])))
    assert params_and_ratings(space, found, layered.SHAPE) == brute_force(space, rated, layered.SHAPE, **limits)
    assert 0 < len(found) < len(whole)


def test_limits_that_nothing_meets_are_refused_before_anything_is_rated(layered, space):
    def images(split: str, count: int):
        raise AssertionError("no image is needed")

    state = search_state(layered, space, images=images, budgets=[{"params": 30, "macs": 1000}])
    with pytest.raises(InputError, match=r"at most 30 params and 1,000 macs: the least that there is are 40 "):
        list(Rating().select(state))


def test_several_budgets_give_the_union_of_their_fronts(layered, graded):
    state, _, _ = graded
    budgets = [{"macs": 30}, {"params": 70}, {"params": 60, "macs": 30}]
    fronts = [split_events(Rating(trail=0).select(attrs.evolve(state, budgets=[budget])))[1] for budget in budgets]
    _, found = split_events(Rating(trail=0).select(attrs.evolve(state, budgets=budgets)))
    assert found == list({event.genotype: event for front in fronts for event in front}.values())
    assert len(found) < sum(map(len, fronts))
    assert fronts[1][0] in found
    assert fronts[1][0] not in fronts[0]
    with pytest.raises(InputError, match="at most 5 params: the least that there is are 40 params"):
        list(Rating().select(attrs.evolve(state, budgets=[*budgets, {"params": 5}])))


class Delay(CostMeasure):
    """Milliseconds, additive over layers."""

    unit = Unit("s", "m")
    additive = True

    def cost(self, net, shape):
        raise AssertionError("whole networks are not built")


class Peak(Delay):
    """Not additive, and so nothing that a path has."""

    additive = False


def delay_of(layered, genotype: Genotype) -> float:
    """The wider the slower, but the middle one is slow out of turn."""
    milliseconds = {"narrow": 0.125, "mid": 0.75, "wide": 0.25}
    return sum(milliseconds[picked] for _, (picked,) in genotype.picks if picked in milliseconds)


@pytest.fixture
def delayed(layered, graded) -> SearchState:
    """The search whose networks have a delay and a peak beside params and MACs."""

    class Listed(layered.Layered):
        def path_layers(self, block, path, before, shape):
            return [LayerSpec(picked, (3, 4, 4), torch.nn.Identity) for _, (picked,) in path.picks]

        layer_list = path_layers

    def layer_cost(measure: CostMeasure, layer: LayerSpec | None) -> float:
        prices = {"narrow": 0.125, "mid": 0.75, "wide": 0.25}
        return 0.0 if layer is None else prices.get(layer.key, 0.0)

    model = CostModel(Listed(), layered.SHAPE, {"delay": Delay(), "peak": Peak()}, layer_cost)
    return attrs.evolve(graded[0], cost_model=model)


def test_a_limit_on_a_measure_that_layers_have(layered, space, graded, delayed):
    _, rated, _ = graded
    ratings = {(path.block, path.path): path.rating for path in rated}
    fitting = []
    for first, second in product(space.paths(0).enumerate(), space.paths(1).enumerate()):
        genotype = Genotype.join([first, second])
        if delay_of(layered, genotype) <= 1.5 and space.cost(genotype, layered.SHAPE).macs <= 40:
            params = space.cost(genotype, layered.SHAPE).params
            fitting.append((params, ratings[0, first] + ratings[1, second]))
    front = [pair for pair in fitting if not any(a <= pair[0] and b <= pair[1] and (a, b) != pair for a, b in fitting)]
    budget = {"delay": 1.5, "macs": 40, "peak": 1.0}
    _, found = split_events(Rating(trail=0).select(attrs.evolve(delayed, budgets=[budget])))
    assert params_and_ratings(space, found, layered.SHAPE) == sorted(set(front))
    assert len(found) > 2
    _, wider = split_events(Rating(trail=0).select(attrs.evolve(delayed, budgets=[{"macs": 40}])))
    assert wider != found


def test_the_refusal_names_each_measure_with_its_unit_and_the_least(delayed):
    state = attrs.evolve(delayed, budgets=[{"delay": 0.25, "params": 50, "peak": 0.0}])
    with pytest.raises(InputError) as refused:
        Rating().check_limits(state)
    assert str(refused.value).startswith(
        "No architecture that the rated paths can be combined to has at most 250 us delay and 50 params: "
        "the least that there is are 500 us delay and 40 params. Allow more with --budget delay=... --budget params="
    )
    Rating().check_limits(attrs.evolve(delayed, budgets=[{"peak": 0.0}]))
    # Fast networks are wide ones: each limit alone can be kept.
    first = attrs.evolve(delayed, budgets=[{"delay": 0.5, "params": 40}])
    Rating().check_limits(first)
    narrow = attrs.evolve(delayed, budgets=[{"delay": 0.5, "macs": 19}])
    with pytest.raises(InputError, match=r"12 macs, but no single one has all of this\. Allow more"):
        Rating().check_limits(narrow)


@pytest.mark.parametrize("done", [1, 9, 20, 44])
def test_a_decision_that_was_interrupted_continues_and_ends_the_same(layered, space, decided, done):
    _, rated, found = decided
    again = split_events(Rating(trail=0).select(search_state(layered, space, rated=rated[:done])))
    assert again == (rated[done:], found)


def test_with_all_ratings_present_nothing_is_computed(layered, space, decided):
    _, rated, found = decided

    def images(split: str, count: int):
        raise AssertionError("no image is needed")

    state = search_state(layered, space, rated=rated, images=images)
    assert split_events(Rating(trail=0).select(state)) == ([], found)


def test_a_network_without_blocks_is_rated_by_its_labels_on_a_sample_of_its_paths(layered, space):
    selector = Rating(limit=12, trail=0, images=6, recalibration_images=5)
    state = search_state(layered, space, whole=True, snapshots=[Step(step=7, epoch=1, loss=0.0)])
    rated, found = split_events(selector.select(state))
    assert state.images.asked == [("train.weights", 5), ("train.rating", 6)]
    assert len({path.path for path in rated}) == 12
    assert {path.block for path in rated} == {None}
    assert {event.step for event in found} == {7}
    pairs = [(space.cost(path.path, layered.SHAPE).params, path.rating) for path in rated]
    front = [pair for pair in pairs if not any(a <= pair[0] and b <= pair[1] and (a, b) != pair for a, b in pairs)]
    assert params_and_ratings(space, found, layered.SHAPE) == sorted(front)
    other = split_events(selector.select(attrs.evolve(state, seed=6)))[0]
    assert {path.path for path in other} != {path.path for path in rated}


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_of_a_long_front_some_are_kept_evenly_in_log_params(layered, space, graded, keep):
    state, _, whole = graded
    _, found = split_events(Rating(trail=keep).select(state))
    assert len(found) == keep < len(whole)
    assert [event for event in whole if event in found] == found
    sizes = [math.log(params) for params, _ in params_and_ratings(space, whole, layered.SHAPE)]
    kept = [math.log(params) for params, _ in params_and_ratings(space, found, layered.SHAPE)]
    for number, size in enumerate(reversed(kept)):
        target = sizes[-1] - (sizes[-1] - sizes[0]) * number / max(1, keep - 1)
        assert abs(size - target) == min(abs(other - target) for other in sizes)


def test_paths_without_a_number_for_a_rating_are_not_chosen(layered, space, decided):
    state, rated, _ = decided
    nan = float("nan")
    spoilt = [attrs.evolve(path, rating=nan) if path.path["0/0"] != ("mid",) else path for path in rated[:9]]
    state = attrs.evolve(state, rated=[*spoilt, *rated[9:]])
    _, found = split_events(Rating().select(state))
    assert {event.genotype["0/0"] for event in found} == {("mid",)}
    lost = [attrs.evolve(path, rating=float("inf")) for path in rated[:9]]
    with pytest.raises(RunFailure, match="No path through block 0 has a rating that is a number"):
        list(Rating().select(attrs.evolve(state, rated=[*lost, *rated[9:]])))


def test_limits_apply_to_networks_at_the_size_at_which_they_are_retrained(layered):
    small = Darts(topology="per-cell", operations=("skip_connect", "sep_conv_3x3"), cells=3, nodes=2, channels=2)
    shape = ImageShape(1, 8, 5)
    raters = [layered.TargetRater(view, block) for block, view in enumerate(small.supernet(shape).blocks())]
    selector = Rating(limit=6)
    state = SearchState(small, shape, None, (), lambda split, count: iter(()), seed=0, raters=raters)
    rated = [Rated(block, path, 1.0) for block in range(3) for path in selector._paths(state, block)]
    _, (found,) = split_events(selector.select(attrs.evolve(state, rated=rated)))
    limit = small.cost(found.genotype, shape).params + 100
    narrow = attrs.evolve(state, rated=rated, budgets=[{"params": limit}])
    assert split_events(selector.select(narrow)) == ([], [found])
    with pytest.raises(InputError, match=f"at most {limit:,} params"):
        list(selector.select(attrs.evolve(narrow, cost_model=CostModel(small.scaled(channels=8), shape))))
