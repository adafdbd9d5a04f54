"""Several processes come to what one comes to with the same batches."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from tests.engine.shared_searches import METHODS, Course, all_carried_out, carried_out_alone
from tests.rank_processes import in_ranks

STEPS = 20
QUICK = ("darts, second order", 3)
"""Method and steps of the test that is not slow."""


@pytest.fixture(scope="module", params=[2, 3])
def together(request, tmp_path_factory):
    """By rank and method, searches of 2 or 3 processes. Batches have 7 and 8 images: not all shares are equal."""
    return in_ranks(request.param, tmp_path_factory.mktemp("ranks"), all_carried_out, list(METHODS), STEPS)


@cache
def alone(name: str) -> Course:
    """The course of a search by one process, with which those of 2 and of 3 are compared."""
    return carried_out_alone(name, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_searches_of_several_ranks_are_those_of_one(together, name):
    # Features are compared in float32.
    tolerance = 100 if name == "dnad" else 1
    assert_alike(alone(name), [courses[name] for courses in together], tolerance)


def test_gradients_of_second_order_are_those_of_the_whole_batches(tmp_path):
    name, steps = QUICK
    together = in_ranks(2, tmp_path, all_carried_out, [name], steps)
    assert_alike(carried_out_alone(name, steps), [courses[name] for courses in together])


def assert_alike(alone: Course, together: list[Course], tolerance: float = 1) -> None:
    for course in together:
        assert len(course.steps) == len(alone.steps)
        for one, other in zip(alone.steps, course.steps, strict=True):
            # Losses are float32 from the logits on, which bounds how near all that follows can be.
            assert other.loss == pytest.approx(one.loss, rel=1e-5 * tolerance)
            assert other.measures.get("deleted") == one.measures.get("deleted")
            assert other.snapshot == one.snapshot
        for one, other in zip(alone.alphas, course.alphas, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5 * tolerance, atol=1e-6 * tolerance)
        for one, other in zip(alone.gradients, course.gradients, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-4 * tolerance, atol=1e-5 * tolerance)
        torch.testing.assert_close(course.state, alone.state, rtol=1e-4 * tolerance, atol=1e-5 * tolerance)
    first, *others = together
    for other in others:
        assert all(torch.equal(other.state[name], value) for name, value in first.state.items())
