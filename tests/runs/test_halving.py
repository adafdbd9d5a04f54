from __future__ import annotations

from itertools import pairwise

import pytest

from nasplug.runs.halving import Rung, plan_rungs, rank


def test_every_rung_keeps_the_better_half_and_trains_twice_as_long():
    assert plan_rungs(16, 4, 24, 0.25) == (Rung(6, 16, 8), Rung(12, 8, 4))
    assert plan_rungs(16, 1, 80, 0.1) == (Rung(8, 16, 8), Rung(16, 8, 4), Rung(32, 4, 2), Rung(64, 2, 1))


def test_odd_numbers_keep_the_larger_half_but_no_fewer_than_the_winners():
    assert [(rung.candidates, rung.kept) for rung in plan_rungs(11, 2, 100, 0.01)] == [(11, 6), (6, 3), (3, 2)]
    assert [(rung.candidates, rung.kept) for rung in plan_rungs(5, 3, 100, 0.01)] == [(5, 3)]


@pytest.mark.parametrize("candidates", [0, 3, 4])
def test_there_is_no_rung_where_there_is_nothing_to_choose(candidates):
    assert plan_rungs(candidates, 4, 24, 0.25) == ()


def test_no_rung_trains_longer_than_the_retraining_and_one_as_long_is_the_last():
    assert plan_rungs(32, 1, 25, 0.25) == (Rung(6, 32, 16), Rung(12, 16, 8), Rung(24, 8, 4), Rung(25, 4, 1))
    assert plan_rungs(16, 2, 10, 1.0) == (Rung(10, 16, 2),)
    assert plan_rungs(16, 2, 1, 0.25) == (Rung(1, 16, 2),)


@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_every_rung_costs_as_much_as_the_first(halvings):
    """The budget of successive halving is divided equally among its rungs (Jamieson & Talwalkar, 2016, section 3)."""
    rungs = plan_rungs(4 * 2**halvings, 4, 80, 0.1)
    assert [rung.candidates * rung.epochs for rung in rungs] == halvings * [4 * 2**halvings * 8]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.6])
@pytest.mark.parametrize("epochs", [1, 7, 25])
def test_rungs_follow_one_another_from_all_candidates_to_the_winners(share, epochs):
    for winners in (1, 3, 4):
        for candidates in range(winners + 1, 40):
            rungs = plan_rungs(candidates, winners, epochs, share)
            assert (rungs[0].candidates, rungs[-1].kept) == (candidates, winners)
            for before, after in pairwise(rungs):
                assert after.candidates == before.kept
                assert after.epochs == min(2 * before.epochs, epochs)
            assert all(rung.candidates > rung.kept for rung in rungs)


def test_the_lowest_error_is_first_and_ties_go_to_fewer_params_then_to_the_order():
    assert rank([0.3, 0.1, 0.2], [1, 1, 1]) == [1, 2, 0]
    assert rank([0.2, 0.1, 0.2, 0.2], [5, 9, 4, 4]) == [1, 2, 3, 0]
