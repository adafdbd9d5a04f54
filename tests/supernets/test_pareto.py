from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest

from nasplug.supernets import Candidates, least_costs, pareto, pareto_front
from nasplug.values import Costs

NAMES = ("params", "macs", "latency", "energy")


def instance(generator: np.random.Generator, measures: int, kind: str) -> list[Candidates]:
    """Up to four blocks of up to six candidates, with up to three interfaces.

    `kind`: "ties" has few distinct whole numbers, zero and negative ones among them; "whole" has many; "real" has
    costs that are rounded when they are added.
    """
    blocks, before = [], 1
    for _ in range(generator.integers(1, 5)):
        count, interfaces = int(generator.integers(1, 7)), int(generator.integers(1, 4))
        if kind == "ties":
            costs = {name: generator.integers(-1, 5, (before, count)) for name in NAMES[:measures]}
        else:
            size = generator.integers(1, 1000, (before, count))
            costs = {name: size // 2 + generator.integers(-100, 300, (before, count)) for name in NAMES[:measures]}
        if kind == "real":
            costs |= {name: costs[name] / 7 for name in NAMES[2:measures]}
        # Eighths add up without rounding, so that equal sums are equal however they came about.
        ratings = generator.integers(0, 9, count) / 8 if kind == "ties" else generator.random(count)
        blocks.append(Candidates(ratings, generator.integers(0, interfaces, count), costs))
        before = interfaces
    return blocks


def total(blocks: list[Candidates], chosen: tuple[int, ...]) -> tuple[float, ...]:
    """The rating and the costs of a combination, each added from the first block to the last."""
    totals, read = [0.0] * (1 + len(blocks[0].costs)), 0
    for block, candidate in zip(blocks, chosen, strict=True):
        added = [block.ratings[candidate], *(costs[read, candidate] for costs in block.costs.values())]
        totals = [float(one + other) for one, other in zip(totals, added, strict=True)]
        read = block.interfaces[candidate]
    return tuple(totals)


def every_combination(blocks: list[Candidates]) -> list[tuple[float, ...]]:
    return [total(blocks, chosen) for chosen in product(*(range(len(block.ratings)) for block in blocks))]


def brute_force(blocks: list[Candidates], budget: dict[str, float]) -> list[tuple[float, ...]]:
    """The front over rating and params by looking at every combination; of equal ones that with the least costs."""
    limits = [budget.get(name, math.inf) for name in blocks[0].costs]
    fitting = [
        (params, rating, *others)
        for rating, params, *others in every_combination(blocks)
        if all(cost <= limit for cost, limit in zip((params, *others), limits, strict=True))
    ]
    front: list[tuple[float, ...]] = []
    for params, rating, *others in sorted(fitting):
        if not front or rating < front[-1][0]:
            front.append((rating, params, *others))
    return front


def random_budget(generator: np.random.Generator, blocks: list[Candidates], tight: bool) -> dict[str, float]:
    """Limits on some measures; sometimes exactly what a combination costs, sometimes what none keeps."""
    every = np.array(every_combination(blocks))[:, 1:]
    limited = np.flatnonzero(generator.random(every.shape[1]) < 0.8)
    low, high = every.min(0), every.max(0)
    if generator.random() < 0.3:
        limits = every[generator.integers(len(every))]
    else:
        limits = low + (high - low) * generator.uniform(-0.1, 0.5 if tight else 1.3, len(low))
    return {NAMES[place]: float(limits[place]) for place in limited}


@pytest.mark.parametrize("chunk", [1 << 20, 5])
@pytest.mark.parametrize("kind", ["ties", "whole", "real"])
@pytest.mark.parametrize("measures", [1, 2, 3, 4])
def test_the_front_is_that_of_all_combinations(measures, kind, chunk, monkeypatch):
    monkeypatch.setattr(pareto, "CHUNK", chunk)
    generator = np.random.default_rng([measures, len(kind), kind == "real"])
    lengths = []
    for number in range(40):
        blocks = instance(generator, measures, kind)
        budget = random_budget(generator, blocks, tight=number % 2 == 0)
        front = pareto_front(blocks, budget)
        points = [(combination.rating, *combination.costs.values()) for combination in front]
        assert points == brute_force(blocks, budget)
        assert points == [total(blocks, combination.chosen) for combination in front]
        assert all(tuple(combination.costs) == NAMES[:measures] for combination in front)
        lengths.append(len(front))
    assert max(lengths) > 3
    assert min(lengths) == 0


@pytest.mark.parametrize("kind", ["ties", "whole", "real"])
def test_the_least_of_each_measure(kind):
    generator = np.random.default_rng(len(kind))
    for _ in range(40):
        blocks = instance(generator, 4, kind)
        expected = np.array(every_combination(blocks))[:, 1:].min(0)
        assert list(least_costs(blocks).values()) == pytest.approx(expected.tolist(), abs=1e-9)


def two_measures(ratings, interfaces, params, macs) -> Candidates:
    costs = {"params": np.array(params), "macs": np.array(macs)}
    return Candidates(np.array(ratings), np.array(interfaces), costs)


def test_the_interface_of_one_block_decides_what_the_next_costs():
    first = two_measures([1.0, 2.0], [0, 1], [[5, 5]], [[1, 1]])
    second = two_measures([1.0], [0], [[100], [3]], [[1], [1]])
    # The first candidate is better and no dearer, but shows an interface that makes the next block dear.
    assert [combination.chosen for combination in pareto_front([first, second])] == [(1, 0), (0, 0)]
    assert [combination.chosen for combination in pareto_front([first, second], {"params": 50})] == [(1, 0)]
    assert least_costs([first, second]) == Costs(params=8, macs=2)


def test_a_limit_on_macs_keeps_what_params_and_rating_alone_would_drop():
    block = two_measures([1.0, 2.0], [0, 0], [[5, 6]], [[9, 1]])
    assert [combination.chosen for combination in pareto_front([block, block])] == [(0, 0)]
    assert [combination.costs.macs for combination in pareto_front([block, block], {"macs": 10})] == [10]
    assert pareto_front([block, block], {"macs": 1}) == []


def test_a_candidate_may_cost_less_than_nothing():
    saving = two_measures([1.0, 0.0], [0, 0], [[-3, 4]], [[-8, 0]])
    spending = two_measures([0.0, 1.0], [0, 0], [[4, 1]], [[9, 2]])
    front = pareto_front([spending, saving], {"macs": 1, "params": 2})
    assert [(combination.chosen, *combination.costs.values()) for combination in front] == [
        ((1, 0), -2.0, -6.0),
        ((0, 0), 1.0, 1.0),
    ]
    assert pareto_front([spending, saving], {"macs": -7}) == []


def test_limits_hold_to_the_last_digit():
    cost = np.array([[0.1]])
    block = Candidates(np.zeros(1), np.zeros(1, int), {"params": np.ones((1, 1)), "latency": cost})
    three = 0.1 + 0.1 + 0.1  # the float above 0.3
    assert len(pareto_front([block] * 3, {"latency": three})) == 1
    assert pareto_front([block] * 3, {"latency": math.nextafter(three, 0)}) == []


def test_whole_numbers_up_to_2_to_the_53_are_exact():
    large = two_measures([0.0, 1.0], [0, 0], [[1, 1]], [[2**52, 2**52 - 1]])
    (found,) = pareto_front([large, large], {"macs": 2**53 - 2})
    assert found.costs["macs"] == 2**53 - 2
    assert pareto_front([large, large], {"macs": 2**53 - 3}) == []


def test_a_limit_on_a_measure_that_no_candidate_has():
    block = two_measures([1.0], [0], [[5]], [[9]])
    with pytest.raises(ValueError, match="latency"):
        pareto_front([block], {"latency": 1.0})


def many_candidates(count: int) -> list[Candidates]:
    """Six blocks with two interfaces: better candidates are larger, and costs rise with the size."""
    generator = np.random.default_rng(0)
    blocks, before = [], 1
    for _ in range(6):
        params = np.repeat(generator.integers(10_000, 1_000_000, (1, count)), before, 0)
        params += 500 * np.arange(before)[:, None]
        ratings = 1 - np.log(params[0] / 1e4) / 10 + generator.normal(0, 0.02, count)
        macs = np.round(params * 300 * np.exp(generator.normal(0, 0.1, count))).astype(np.int64)
        latency = macs * 1e-8 * np.exp(generator.normal(0, 0.1, count)) + 0.1 * generator.random(count)
        costs = {"params": params, "macs": macs, "latency": latency}
        blocks.append(Candidates(ratings, generator.integers(0, 2, count), costs))
        before = 2
    return blocks


@pytest.mark.slow
def test_six_blocks_of_a_thousand_candidates():
    """Takes about two seconds of one core."""
    blocks = many_candidates(1000)
    budget = {"params": 1_000_000, "macs": 300_000_000, "latency": 3.0}
    front = pareto_front(blocks, budget)
    assert len(front) > 100
    assert all(a.rating > b.rating and a.costs.params < b.costs.params for a, b in pairwise(front))
    assert all(cost <= budget[name] for each in front for name, cost in each.costs.items())
    # What is within the budget on the front without limits is on this one, too.
    free = [each for each in pareto_front(blocks) if all(cost <= budget[name] for name, cost in each.costs.items())]
    assert len(free) > 10
    assert {each.chosen for each in free} <= {each.chosen for each in front}


def test_six_blocks_of_some_candidates():
    blocks = many_candidates(60)
    free = pareto_front(blocks)
    assert len(free) > 50
    assert all(a.rating > b.rating and a.costs.params < b.costs.params for a, b in pairwise(free))
    front = pareto_front(blocks, {"macs": free[len(free) // 2].costs["macs"]})
    assert {each.chosen for each in free if each.costs["macs"] <= free[len(free) // 2].costs["macs"]} <= {
        each.chosen for each in front
    }
