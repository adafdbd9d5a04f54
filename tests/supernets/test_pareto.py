from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from nasplug.supernets import Candidates, pareto, pareto_front
from nasplug.supernets.pareto import find_undominated


def instance(generator: np.random.Generator, ties: bool) -> list[Candidates]:
    """Up to four blocks of up to six candidates, with up to three interfaces; few distinct values give many ties."""
    blocks, before = [], 1
    for _ in range(generator.integers(1, 5)):
        count, interfaces = int(generator.integers(1, 7)), int(generator.integers(1, 4))
        most = 6 if ties else 1000
        params = generator.integers(1, most, (before, count))
        blocks.append(
            Candidates(
                # Eighths add up without rounding, so that equal sums are equal however they came about.
                ratings=generator.integers(0, 9, count) / 8 if ties else generator.random(count),
                interfaces=generator.integers(0, interfaces, count),
                params=params,
                macs=generator.integers(1, most, (before, count)) if ties else params // 2 + generator.integers(1, 300),
            )
        )
        before = interfaces
    return blocks


def total(blocks: list[Candidates], chosen: tuple[int, ...]) -> tuple[float, int, int]:
    rating, params, macs, read = 0.0, 0, 0, 0
    for block, candidate in zip(blocks, chosen, strict=True):
        rating += block.ratings[candidate]
        params += block.params[read, candidate]
        macs += block.macs[read, candidate]
        read = block.interfaces[candidate]
    return float(rating), int(params), int(macs)


def brute_force(blocks, max_params, max_macs) -> list[tuple[float, int, int]]:
    """The front over rating and params by looking at every combination; of equal ones that with the fewest MACs."""
    combinations = [total(blocks, chosen) for chosen in product(*(range(len(block.ratings)) for block in blocks))]
    fitting = sorted(
        (params, rating, macs)
        for rating, params, macs in combinations
        if (max_params is None or params <= max_params) and (max_macs is None or macs <= max_macs)
    )
    front: list[tuple[float, int, int]] = []
    for params, rating, macs in fitting:
        if not front or rating < front[-1][0]:
            front.append((rating, params, macs))
    return front


@pytest.mark.parametrize("chunk", [1 << 20, 5])
@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("limited", ["nothing", "params", "macs", "both"])
def test_the_trail_is_that_of_all_combinations(limited, ties, chunk, monkeypatch):
    monkeypatch.setattr(pareto, "CHUNK", chunk)
    generator = np.random.default_rng([len(limited), ties])
    lengths = []
    for _ in range(40):
        blocks = instance(generator, ties)
        least, most = (sum(bound(block.params) for block in blocks) for bound in (np.min, np.max))
        low, high = (sum(bound(block.macs) for block in blocks) for bound in (np.min, np.max))
        max_params = int(generator.uniform(least, most)) if limited in ("params", "both") else None
        max_macs = int(generator.uniform(low, high)) if limited in ("macs", "both") else None
        front = pareto_front(blocks, max_params, max_macs)
        points = [(combination.rating, combination.cost.params, combination.cost.macs) for combination in front]
        assert points == brute_force(blocks, max_params, max_macs)
        assert points == [total(blocks, combination.chosen) for combination in front]
        lengths.append(len(front))
    assert max(lengths) > 3
    assert limited == "nothing" or min(lengths) <= 1


def test_the_interface_of_one_block_decides_what_the_next_costs():
    first = Candidates(np.array([1.0, 2.0]), np.array([0, 1]), np.array([[5, 5]]), np.array([[1, 1]]))
    second = Candidates(np.array([1.0]), np.array([0]), np.array([[100], [3]]), np.array([[1], [1]]))
    # The first candidate is better and no dearer, but shows an interface that makes the next block dear.
    assert [combination.chosen for combination in pareto_front([first, second])] == [(1, 0), (0, 0)]
    assert [combination.chosen for combination in pareto_front([first, second], max_params=50)] == [(1, 0)]


def test_a_limit_on_macs_keeps_what_params_and_rating_alone_would_drop():
    block = Candidates(np.array([1.0, 2.0]), np.zeros(2, int), np.array([[5, 6]]), np.array([[9, 1]]))
    assert [combination.chosen for combination in pareto_front([block, block])] == [(0, 0)]
    assert [combination.cost.macs for combination in pareto_front([block, block], max_macs=10)] == [10]
    assert pareto_front([block, block], max_macs=1) == []


@pytest.mark.parametrize("values", [3, 40, 100_000])
def test_unbeaten_places_of_long_lists(values):
    first, second = np.random.default_rng(values).integers(0, values, (2, 900))
    beaten = (first[:, None] <= first) & (second[:, None] <= second)
    expected = [place for place in range(900) if not beaten[:place, place].any()]
    assert find_undominated(first, second).tolist() == expected
    assert find_undominated(first, np.zeros(900, int)).tolist() == [
        place for place in range(900) if place == 0 or first[place] < first[:place].min()
    ]


def test_six_blocks_of_many_candidates():
    generator = np.random.default_rng(0)
    blocks, before = [], 1
    for _ in range(6):
        params = np.repeat(generator.integers(10_000, 1_000_000, (1, 1296)), before, 0)
        params += 500 * np.arange(before)[:, None]
        ratings = 1 - np.log(params[0] / 1e4) / 10 + generator.normal(0, 0.02, 1296)
        blocks.append(Candidates(ratings, generator.integers(0, 2, 1296), params, params * 300))
        before = 2
    trail = pareto_front(blocks, max_params=1_000_000)
    assert len(trail) > 50
    assert trail[0].cost.params == pareto_front(blocks)[0].cost.params
    assert all(a.rating > b.rating and a.cost.params < b.cost.params for a, b in pairwise(trail))
