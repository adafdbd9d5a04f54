"""Batch norm over several processes; with one process in the group it must be torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import distributed, nn

from nasplug.supernets.synchronised_norms import normalise_together, norms_are_synchronised, synchronised_norms
from tests.rank_processes import in_ranks


@pytest.fixture
def group(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def values(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(5, 3, 4, 4), (5, 3)])
def test_norms_gradients_and_second_derivatives_are_those_of_torch(group, shape):
    x, weight, bias = (each.requires_grad_() for each in (values(*shape), values(3) + 2, values(3)))
    for ours, theirs in zip(
        *(derive(norm, x, weight, bias) for norm in (normalise_together, F.batch_norm)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def derive(norm, x, weight, bias):
    training = {} if norm is normalise_together else {"training": True}
    result = norm(x, None, None, weight, bias, **training)
    slopes = torch.autograd.grad(result.pow(3).sum(), (x, weight, bias), create_graph=True)
    return [result, *slopes, *torch.autograd.grad(slopes[0].pow(2).sum(), (x, weight))]


def test_torch_modules_are_replaced_inside_the_block_only(group, monkeypatch):
    calls = []
    plain = distributed.all_reduce
    monkeypatch.setattr(distributed, "all_reduce", lambda *given: calls.append(plain(*given)))
    ours, theirs, x = nn.BatchNorm2d(3).double(), nn.BatchNorm2d(3).double(), values(5, 3, 4, 4)
    with synchronised_norms():
        assert norms_are_synchronised()
        inside = ours(x)
    assert len(calls) == 2
    assert not norms_are_synchronised()
    torch.testing.assert_close(inside, theirs(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-10, atol=1e-10)
    with synchronised_norms():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert len(calls) == 2  # none by running statistics


def test_halves_keep_their_type_and_are_averaged_in_float32(group):
    x = values(64, 3, 8, 8).bfloat16()
    result = normalise_together(x)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, F.batch_norm(x, None, None, training=True), rtol=0.02, atol=1e-4)


def share_of_norm(rank: int, count: int):
    """Result and gradients on one of two processes, which have 2 and 5 of 7 images."""
    x = values(7, 3, 4, 4)[slice(0, 2) if rank == 0 else slice(2, 7)].requires_grad_()
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    result = normalise_together(x, None, None, weight)
    return [each.detach() for each in (result, *torch.autograd.grad(result.pow(3).sum(), (x, weight)))]


@pytest.mark.slow
def test_two_processes_normalise_by_all_images(tmp_path):
    x = values(7, 3, 4, 4).requires_grad_()
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    result = F.batch_norm(x, None, None, weight, training=True)
    by_x, by_weight = torch.autograd.grad(result.pow(3).sum(), (x, weight))
    first, second = in_ranks(2, tmp_path, share_of_norm)
    torch.testing.assert_close(torch.cat([first[0], second[0]]), result.detach())
    torch.testing.assert_close(torch.cat([first[1], second[1]]), by_x)
    torch.testing.assert_close(first[2] + second[2], by_weight)
