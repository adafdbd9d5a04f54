from __future__ import annotations

import json
import math
from collections import Counter
from itertools import product

import attrs
import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.engine import Trainer, train
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import InputError, RunFailure
from nasplug.parts import (
    Batch,
    Choices,
    CostMeasure,
    CostModel,
    LabelRater,
    LayerSpec,
    SearchState,
    read_state,
    write_state,
)
from nasplug.values import Found, Genotype, ImageShape, Rated, Step, StepClock, Training, Unit, Update

CLOCK = StepClock(steps_per_epoch=6, epochs=4)


def make_optimizer(choices: Choices, seed: int = 0, **options: object) -> SinglePath:
    optimizer = SinglePath(**options)
    optimizer.initialise(choices, torch.Generator().manual_seed(seed))
    return optimizer


@pytest.fixture
def space(layered):
    return layered.Layered()


@pytest.fixture
def choices(space) -> Choices:
    return Choices(space.choice_list())


def test_the_weights_learn_on_their_share_and_alpha_does_not():
    optimizer = SinglePath(rating_share=0.25)
    assert optimizer.splits() == {"train.weights": 0.75, "train.rating": 0.25}
    assert optimizer.updates(CLOCK.at(0)) == (Update("train.weights", moves_weights=True, moves_alpha=False),)
    assert (optimizer.learns_alpha, optimizer.trains, optimizer.decides) == (False, True, True)


def test_uniform_sampling_gives_architectures_of_the_space(space, choices):
    optimizer = make_optimizer(choices)
    every = set(space.paths(None).enumerate())
    masks = [optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)]
    sampled = [space.decode(choices, mask.float()) for mask in masks]
    assert set(sampled) <= every
    assert len(set(sampled)) > 15
    for mask, genotype in zip(masks, sampled, strict=True):
        assert torch.equal(mask, space.encode(genotype, choices))


@pytest.mark.parametrize("sampling", ["uniform", "fair"])
def test_a_sample_is_a_function_of_seed_stage_and_step(space, choices, sampling):
    first, second, other = (make_optimizer(choices, seed, sampling=sampling) for seed in (1, 1, 2))
    write_state(second, json.loads(json.dumps(read_state(first))))

    def samples(optimizer: SinglePath, steps: range, stage: int = 0) -> list[list[list[bool]]]:
        clock = attrs.evolve(CLOCK, stage=stage)
        return [optimizer.sample(space, choices, clock.at(step)).tolist() for step in steps]

    assert samples(first, range(12))[7:] == samples(second, range(7, 12))
    assert samples(first, range(12)) != samples(other, range(12))
    assert samples(first, range(12)) != samples(first, range(12), stage=1)


def test_fair_sampling_uses_each_candidate_once_in_each_round(space, choices):
    optimizer = make_optimizer(choices, sampling="fair")
    masks = torch.stack([optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)])
    assert torch.equal(masks.sum(2), torch.ones(24, len(choices), dtype=torch.long))
    long = masks[:, choices.rows["1/depth"], 1]
    orders = set()
    for row, choice in enumerate(choices):
        count = len(choice.candidates)
        # What belongs to a candidate of another choice is trained only with it.
        trained = masks[long] if choice.parent is not None else masks
        rounds = trained[:, row, :count].reshape(-1, count, count)
        assert torch.equal(rounds.sum(1), torch.ones_like(rounds.sum(1)))
        orders |= {(choice.name, *one_round.int().argmax(1).tolist()) for one_round in rounds}
    # Six choices and 4 to 12 rounds: rounds differ, and their orders differ between choices.
    assert len(orders) > 12


def test_fair_sampling_is_refused_where_a_genotype_holds_more_than_one_candidate(space):
    SinglePath(sampling="fair").check(space, Training())
    SinglePath().check(Darts(), Training())
    with pytest.raises(InputError, match=r"'darts' hold any number of the choice 'normal/2<-0'.*sampling=uniform"):
        SinglePath(sampling="fair").check(Darts(), Training())


@pytest.mark.parametrize("sampling", ["uniform", "fair"])
def test_what_is_deleted_is_not_sampled(space, choices, sampling):
    optimizer = make_optimizer(choices, sampling=sampling)
    deleted = torch.zeros_like(choices.kept)
    deleted[choices.rows["0/0"], 1] = deleted[choices.rows["1/1"], :2] = True
    choices.delete(deleted)
    sampled = Counter()
    for step in range(24):
        mask = optimizer.sample(space, choices, CLOCK.at(step))
        assert not (mask & deleted).any()
        for name in ("0/0", "0/1", "1/1"):
            (column,) = mask[choices.rows[name]].nonzero()[:, 0].tolist()
            sampled[name, column] += 1
    assert sampled["1/1", 2] == 24
    assert min(sampled["0/0", 0], sampled["0/0", 2]) >= 6
    assert min(sampled["0/1", column] for column in range(3)) >= 3


def test_a_cell_that_is_sampled_in_place_of_a_deleted_one_has_its_layers(layered, space, choices):
    optimizer = make_optimizer(choices)
    deleted = torch.zeros_like(choices.kept)
    deleted[choices.rows["1/depth"], 0] = True
    choices.delete(deleted)
    masks = [optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)]
    assert {int(mask[choices.rows["1/2"]].sum()) for mask in masks} == {1}


def test_the_weight_of_an_active_candidate_is_one_as_in_a_stand_alone_network():
    choices = Choices(Darts(choices="node", operations=("skip_connect",)).choice_list())
    choices.relaxation = SinglePath().relax
    with torch.no_grad():
        choices.alpha.normal_()
    mask = choices.valid_mask.clone()
    mask[0, 1] = False
    with choices.only(mask):
        assert torch.equal(choices.weights(), mask.float())


class Noise:
    steps_per_epoch = 3

    def batch(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        return Batch(torch.randn(4, 1, 4, 4, generator=generator), torch.tensor([0, 1, 2, 3]))


def test_a_step_trains_only_the_path_that_it_samples(layered, space):
    torch.manual_seed(0)
    net = space.supernet(layered.SHAPE)
    optimizer = SinglePath()
    # Weight decay and momentum would change all weights that they are applied to.
    training = Training(epochs=2, lr=0.1, weight_decay=0.1, momentum=0.9)
    streams = {name: Noise() for name in optimizer.splits()}
    cpu = torch.device("cpu")
    trainer = Trainer("search", net, optimizer, Keep(), [LabelStage()], training, streams, cpu, space=space)
    trainer.begin(torch.Generator().manual_seed(0))
    trained = set()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for step in train(trainer):
        mask = optimizer.sample(space, net.choices, trainer.clock.at(step.step - 1))
        after = {name: value.clone() for name, value in net.state_dict().items()}
        for key, layer in net.layers.items():
            for column in range(3):
                name = f"layers.{key}.candidates.{column}.0.weight"
                assert torch.equal(before[name], after[name]) != bool(mask[layer.row, column]), name
                trained |= {name} if mask[layer.row, column] else set()
        before = after
    assert len(trained) > 8
    assert net.choices.active_count == net.choices.valid_mask.sum()


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
    fields = {"net": net, "snapshots": (), "images": images, "seed": 5, "raters": raters}
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
    return state, *split_events(SinglePath(trail=0).decide(state))


@pytest.fixture(scope="module")
def graded(layered, decided) -> tuple[SearchState, list[Rated], list[Found]]:
    """The same with ratings that reward params, so that the front is long."""
    state, rated, _ = decided
    prices = [layered.Layered().path_cost(path.block, path.path, None, layered.SHAPE).params for path in rated]
    better = [attrs.evolve(path, rating=path.rating - price / 50) for path, price in zip(rated, prices, strict=True)]
    state = attrs.evolve(state, rated=better)
    _, found = split_events(SinglePath(trail=0).decide(state))
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
    _, found = split_events(SinglePath(trail=0).decide(attrs.evolve(state, budgets=[limits])))
    assert params_and_ratings(space, found, layered.SHAPE) == brute_force(space, rated, layered.SHAPE, **limits)
    assert 0 < len(found) < len(whole)


def test_limits_that_nothing_meets_are_refused_before_anything_is_rated(layered, space):
    def images(split: str, count: int):
        raise AssertionError("no image is needed")

    state = search_state(layered, space, images=images, budgets=[{"params": 30, "macs": 1000}])
    with pytest.raises(InputError, match=r"at most 30 params and 1,000 macs: the least that there is are 40 "):
        list(SinglePath().decide(state))


def test_several_budgets_give_the_union_of_their_fronts(layered, graded):
    state, _, _ = graded
    budgets = [{"macs": 30}, {"params": 70}, {"params": 60, "macs": 30}]
    fronts = [split_events(SinglePath(trail=0).decide(attrs.evolve(state, budgets=[budget])))[1] for budget in budgets]
    _, found = split_events(SinglePath(trail=0).decide(attrs.evolve(state, budgets=budgets)))
    assert found == list({event.genotype: event for front in fronts for event in front}.values())
    assert len(found) < sum(map(len, fronts))
    assert fronts[1][0] in found
    assert fronts[1][0] not in fronts[0]
    with pytest.raises(InputError, match="at most 5 params: the least that there is are 40 params"):
        list(SinglePath().decide(attrs.evolve(state, budgets=[*budgets, {"params": 5}])))


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
    _, found = split_events(SinglePath(trail=0).decide(attrs.evolve(delayed, budgets=[budget])))
    assert params_and_ratings(space, found, layered.SHAPE) == sorted(set(front))
    assert len(found) > 2
    _, wider = split_events(SinglePath(trail=0).decide(attrs.evolve(delayed, budgets=[{"macs": 40}])))
    assert wider != found


def test_the_refusal_names_each_measure_with_its_unit_and_the_least(delayed):
    state = attrs.evolve(delayed, budgets=[{"delay": 0.25, "params": 50, "peak": 0.0}])
    with pytest.raises(InputError) as refused:
        SinglePath().check_limits(state)
    assert str(refused.value).startswith(
        "No architecture that the rated paths can be combined to has at most 250 us delay and 50 params: "
        "the least that there is are 500 us delay and 40 params. Allow more with --budget delay=... --budget params="
    )
    SinglePath().check_limits(attrs.evolve(delayed, budgets=[{"peak": 0.0}]))
    # Fast networks are wide ones: each limit alone can be kept.
    first = attrs.evolve(delayed, budgets=[{"delay": 0.5, "params": 40}])
    SinglePath().check_limits(first)
    narrow = attrs.evolve(delayed, budgets=[{"delay": 0.5, "macs": 19}])
    with pytest.raises(InputError, match=r"12 macs, but no single one has all of this\. Allow more"):
        SinglePath().check_limits(narrow)


@pytest.mark.parametrize("done", [1, 9, 20, 44])
def test_a_decision_that_was_interrupted_continues_and_ends_the_same(layered, space, decided, done):
    _, rated, found = decided
    again = split_events(SinglePath(trail=0).decide(search_state(layered, space, rated=rated[:done])))
    assert again == (rated[done:], found)


def test_with_all_ratings_present_nothing_is_computed(layered, space, decided):
    _, rated, found = decided

    def images(split: str, count: int):
        raise AssertionError("no image is needed")

    state = search_state(layered, space, rated=rated, images=images)
    assert split_events(SinglePath(trail=0).decide(state)) == ([], found)


def test_a_network_without_blocks_is_rated_by_its_labels_on_a_sample_of_its_paths(layered, space):
    optimizer = SinglePath(rating_limit=12, trail=0, rating_images=6, recalibration_images=5)
    state = search_state(layered, space, whole=True, snapshots=[Step(step=7, epoch=1, loss=0.0)])
    rated, found = split_events(optimizer.decide(state))
    assert state.images.asked == [("train.weights", 5), ("train.rating", 6)]
    assert len({path.path for path in rated}) == 12
    assert {path.block for path in rated} == {None}
    assert {event.step for event in found} == {7}
    pairs = [(space.cost(path.path, layered.SHAPE).params, path.rating) for path in rated]
    front = [pair for pair in pairs if not any(a <= pair[0] and b <= pair[1] and (a, b) != pair for a, b in pairs)]
    assert params_and_ratings(space, found, layered.SHAPE) == sorted(front)
    other = split_events(optimizer.decide(attrs.evolve(state, seed=6)))[0]
    assert {path.path for path in other} != {path.path for path in rated}


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_of_a_long_front_some_are_kept_evenly_in_log_params(layered, space, graded, keep):
    state, _, whole = graded
    _, found = split_events(SinglePath(trail=keep).decide(state))
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
    _, found = split_events(SinglePath().decide(state))
    assert {event.genotype["0/0"] for event in found} == {("mid",)}
    lost = [attrs.evolve(path, rating=float("inf")) for path in rated[:9]]
    with pytest.raises(RunFailure, match="No path through block 0 has a rating that is a number"):
        list(SinglePath().decide(attrs.evolve(state, rated=[*lost, *rated[9:]])))


def test_limits_apply_to_networks_at_the_size_at_which_they_are_retrained(layered):
    small = Darts(topology="per-cell", operations=("skip_connect", "sep_conv_3x3"), cells=3, nodes=2, channels=2)
    shape = ImageShape(1, 8, 5)
    raters = [layered.TargetRater(view, block) for block, view in enumerate(small.supernet(shape).blocks())]
    optimizer = SinglePath(rating_limit=6)
    state = SearchState(small, shape, None, (), lambda split, count: iter(()), seed=0, raters=raters)
    rated = [Rated(block, path, 1.0) for block in range(3) for path in optimizer._paths(state, block)]
    _, (found,) = split_events(optimizer.decide(attrs.evolve(state, rated=rated)))
    limit = small.cost(found.genotype, shape).params + 100
    narrow = attrs.evolve(state, rated=rated, budgets=[{"params": limit}])
    assert split_events(optimizer.decide(narrow)) == ([], [found])
    with pytest.raises(InputError, match=f"at most {limit:,} params"):
        list(optimizer.decide(attrs.evolve(narrow, cost_model=CostModel(small.scaled(channels=8), shape))))
