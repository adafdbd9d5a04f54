"""Dropout after the skip connections of a supernet."""

from __future__ import annotations

import torch

from nasplug.builtin.darts import Darts
from nasplug.parts import SkipDropout
from nasplug.values import ImageShape

CPU = torch.device("cpu")


def test_elements_are_zeroed_at_the_rate_and_the_mean_is_kept():
    drop = SkipDropout(rate=0.3, seed=5).sampler(0, CPU)
    first, second = (drop(torch.ones(4, 10, 50, 50)) for _ in range(2))
    for dropped in (first, second):
        torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 1 / 0.7]))
        assert abs(float((dropped == 0).double().mean()) - 0.3) < 0.01
        assert abs(float(dropped.mean()) - 1) < 0.01
    assert not torch.equal(first, second)


def test_masks_follow_from_seed_and_place():
    def mask(seed: int, place: int) -> torch.Tensor:
        return SkipDropout(rate=0.5, seed=seed).sampler(place, CPU)(torch.ones(1, 2, 8, 8))

    assert torch.equal(mask(1, 2), mask(1, 2))
    assert not torch.equal(mask(1, 2), mask(1, 3))
    assert not torch.equal(mask(1, 2), mask(2, 2))


def test_a_cell_drops_out_after_every_identity_with_a_mask_of_its_own():
    torch.manual_seed(0)
    space = Darts(operations=("skip_connect", "max_pool_3x3"), cells=3, nodes=2, channels=4)
    net = space.supernet(ImageShape(1, 8, 3)).double()
    with torch.no_grad():
        net.choices.alpha.normal_()
    cell = net.cells[0]  # a normal cell: its skip connections are identities
    older, newer = torch.randn(2, 3, 12, 8, 8, dtype=torch.float64)
    dropout = SkipDropout(rate=0.4, seed=7)
    weights = net.choices.weights()

    def compute(skip_dropout: SkipDropout | None) -> torch.Tensor:
        plan = net._execution_plan()
        return cell(
            older,
            newer,
            plan.wiring[0],
            plan.split(net.candidate_weights())[: len(plan.wiring[0].positions)],
            skip_dropout,
        )

    def expected(drop) -> torch.Tensor:
        states = [cell.older(older), cell.newer(newer)]
        pools = {}
        masked: dict[tuple[int, int], torch.Tensor] = {}
        # Masks are drawn wave by wave: both inputs of the cell first, state by state, then node 2.
        for source in range(2):
            for node in (2, 3):
                masked[source, node] = drop(states[source])
        for node in (2, 3):
            total = torch.zeros_like(states[0])
            for source in range(node):
                if (source, node) not in masked:
                    masked[source, node] = drop(states[source])
                if source not in pools:
                    pooled = torch.nn.functional.max_pool2d(states[source], 3, 1, padding=1)
                    pools[source] = cell.pool_norms[f"max_pool_3x3@{source}"](pooled)
                row = net.choices.rows[f"normal/{node}<-{source}"]
                total = total + weights[row, 0] * masked[source, node] + weights[row, 1] * pools[source]
            states.append(total)
        return torch.cat(states[2:], 1)

    torch.testing.assert_close(compute(dropout), expected(dropout.sampler(0, CPU)))
    torch.testing.assert_close(compute(None), expected(lambda x: x))
    assert not torch.equal(compute(dropout), compute(None))
    cell.eval()
    assert torch.equal(compute(dropout), compute(None))
