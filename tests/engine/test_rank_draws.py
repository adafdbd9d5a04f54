"""What is drawn about the architecture is common to all ranks, what is drawn for images is not."""

from __future__ import annotations

import torch

from nasplug.engine.random_state import RandomState
from nasplug.engine.rank_draws import RankDraws
from tests.rank_processes import ranks

CPU = torch.device("cpu")


def step(rank: int, images: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise of alpha before and after a mask for `images` images, and the mask's first numbers."""
    draws = RankDraws(ranks(rank, 2), CPU)
    torch.manual_seed(3)
    draws.begin_step()
    relax = draws.in_common(lambda alpha, active: alpha + torch.rand(2))
    with draws.for_images():
        before = relax(torch.zeros(2), torch.ones(2))
        mask = torch.rand(images)
        after = relax(torch.zeros(2), torch.ones(2))
    return torch.cat([before, after, relax(torch.zeros(2), torch.ones(2))]), mask, RandomState.capture(CPU).cpu


def test_ranks_with_different_shares_draw_the_same_noise_and_other_masks():
    (noise, mask, state), (other_noise, other_mask, other_state) = step(0, 4), step(1, 3)
    assert torch.equal(noise, other_noise)
    assert len(set(noise.tolist())) == 6
    assert not set(mask.tolist()) & set(other_mask.tolist())
    assert torch.equal(state, other_state)  # that of checkpoints
