"""Several processes come to what one comes to with the same batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.engine.shared_searches import METHODS, Course, carried_out_alone, carried_out_by_rank, diverged
from tests.rank_processes import in_ranks

pytestmark = pytest.mark.timeout(600)  # on a busy machine importing torch alone takes a minute

STEPS = 20
TOLERANCES = {"dnad": 100, "snps": 10, "snps in parts": 10}
"""By method, how much farther apart figures may be: DNAD compares its features in float32, and alpha of snps moves by
ten times its gradient, of a loss in float32."""
QUICK = ("darts, second order", 3)
"""Method and steps of the test that is not slow."""


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", METHODS)
def test_searches_of_several_ranks_are_those_of_one(name, count, tmp_path):
    """Batches have 7 and 8 images: not all shares are equal."""
    assert_alike_in_ranks(count, tmp_path, name, STEPS, TOLERANCES.get(name, 1))


def test_gradients_of_second_order_are_those_of_the_whole_batches(tmp_path):
    assert_alike_in_ranks(2, tmp_path, *QUICK)


def test_ranks_that_come_to_different_architectures_end_with_a_sentence(tmp_path):
    for failures in in_ranks(3, tmp_path, diverged, ["alpha", "kept"]):
        assert failures["alpha"].startswith(
            "The processes of this training have come to different architectures by step 5 of phase 'search': alpha, "
            "or the candidates that are kept, are not the same on all ranks."
        )
        assert failures["kept"] == failures["alpha"]


def assert_alike_in_ranks(count: int, folder: Path, name: str, steps: int, tolerance: float = 1) -> None:
    together = in_ranks(count, folder, carried_out_by_rank, name, steps)
    assert_alike(carried_out_alone(name, steps), together, tolerance)


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
