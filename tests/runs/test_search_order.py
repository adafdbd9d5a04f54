from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest
import torch

from nasplug.errors import InputError
from nasplug.runs.search_order import SearchOrder, alpha_score, order_by_rating
from nasplug.values import Genotype, Rated


def path(place: str, pick: str) -> Genotype:
    return Genotype("layered", {place: [pick]})


def test_all_combinations_of_rated_paths_are_scored_by_the_sum_of_their_ratings():
    ratings = {0: {"a": 0.5, "b": 0.1}, 1: {"a": 2.0, "b": 1.0, "c": 4.0}}
    rated = [
        Rated(block, path(f"p{block}", pick), rating) for block in (1, 0) for pick, rating in ratings[block].items()
    ]
    order = order_by_rating(rated)
    generator = Random(0)
    drawn = dict(order.draw(generator) for _ in range(200))

    assert drawn == {
        Genotype.join([path("p0", first), path("p1", second)]): pytest.approx(ratings[0][first] + ratings[1][second])
        for first, second in product("ab", "abc")
    }
    assert order.names == ("rating",)


def test_strata_cover_the_order_evenly():
    architectures = {path("p", str(number)): float(-number) for number in range(40)}
    order = SearchOrder("rating", lambda generator: generator.choice(list(architectures.items())), {})
    strata = order.draw_strata(8, Random(1))

    assert sorted(score for stratum in strata for _, score in stratum) == sorted(architectures.values())
    for number, stratum in enumerate(strata):
        assert len(stratum) == 5
        assert {int(-score) for _, score in stratum} == set(range(35 - 5 * number, 40 - 5 * number))
    assert strata == order.draw_strata(8, Random(1))


def test_too_few_architectures_are_refused():
    order = SearchOrder("alpha", lambda generator: (path("p", str(generator.randrange(3))), 0.0), {})
    with pytest.raises(InputError, match="an order of only 3 architectures, and 4 are asked for"):
        order.draw_strata(4, Random(0))
    nothing = SearchOrder("alpha", lambda _: None, {})
    with pytest.raises(InputError, match="only 0 architectures"):
        nothing.draw_strata(3, Random(0))


def test_the_score_of_alpha_is_minus_the_log_of_the_product_of_weights():
    weights = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    held = torch.tensor([[True, False, True], [False, True, False]])
    assert alpha_score(weights, held) == pytest.approx(-math.log(0.5 * 0.25 * 0.9))
    assert alpha_score(weights, torch.zeros_like(held)) == 0
