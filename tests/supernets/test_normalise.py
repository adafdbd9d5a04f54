from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nasplug.supernets import Norm, affine_batch_norm, batch_norm, recalibrate
from nasplug.supernets.normalise import find_norms, measure_statistics, reset_statistics


def test_several_norms_at_once_are_each_on_its_own():
    x = torch.randn(4, 5, 3, 3) * 3 + 1
    norms = [Norm(2), Norm(3)]
    expected = torch.cat([F.batch_norm(part, None, None, training=True) for part in x.split([2, 3], 1)], 1)
    torch.testing.assert_close(batch_norm(x, norms), expected)
    scale = torch.arange(5.0)
    torch.testing.assert_close(batch_norm(x, norms, scale), expected * scale.view(1, 5, 1, 1))


def test_recalibration_measures_the_mean_over_batches_and_restores_the_mode():
    net = nn.Sequential(Norm(2, affine=True), nn.BatchNorm2d(2, affine=False)).eval()
    batches = [torch.randn(8, 2, 4, 4) + shift for shift in (0.0, 2.0)]
    recalibrate(net, batches)
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    var = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(net[0].mean, mean)
    torch.testing.assert_close(net[0].var, var)
    assert int(net[1].num_batches_tracked) == 2
    assert net[1].momentum == 0.1
    assert not net.training
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(net[0](x), F.batch_norm(x, mean, var))


def test_a_second_recalibration_forgets_the_first():
    net = Norm(1)
    recalibrate(net, [torch.randn(8, 1, 4, 4) + 50])
    recalibrate(net, [torch.randn(8, 1, 4, 4)])
    assert net.mean.abs().max() < 1


def test_training_leaves_no_trace_and_statistics_are_no_state():
    net = Norm(2, affine=True)
    net(torch.randn(8, 2, 4, 4) + 5)
    assert net.batches == 0
    assert net.mean.tolist() == [0.0, 0.0]
    assert list(net.state_dict()) == ["weight", "bias"]


def test_an_expanded_weight_has_the_right_gradients():
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    towards = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    gradients = torch.autograd.grad(batch_norm(x, [Norm(3)], weight.expand(3)), (x, weight), towards)
    plain = F.batch_norm(x, None, None, training=True) * weight
    for gradient, expected in zip(gradients, torch.autograd.grad(plain, (x, weight), towards), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_measuring_takes_batch_statistics_in_evaluation_as_well_and_leaves_no_other_trace():
    own, stock = Norm(2), nn.BatchNorm2d(2, affine=False)
    net = nn.Sequential(own, nn.Dropout(0.9), stock).eval()
    batches = [torch.randn(8, 2, 4, 4) + shift for shift in (0.0, 9.0)]
    with measure_statistics(find_norms(net)):
        normed = [net(batch) for batch in batches]
    for batch, result in zip(batches, normed, strict=True):
        once = F.batch_norm(batch, None, None, training=True)
        torch.testing.assert_close(result, F.batch_norm(once, None, None, training=True))
    torch.testing.assert_close(own.mean, torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0))
    assert (own.batches, own.is_measuring, own.training) == (2, False, False)
    assert (int(stock.num_batches_tracked), stock.momentum, stock.training) == (2, 0.1, False)
    reset_statistics(find_norms(net))
    torch.testing.assert_close(own(batches[1]), F.batch_norm(batches[1], None, None, training=True))
    assert int(stock.num_batches_tracked) == 0


def make_affine_norms(*channels: int) -> list[Norm]:
    norms = [Norm(count, affine=True).double() for count in channels]
    with torch.no_grad():
        for norm in norms:
            norm.weight.normal_()
            norm.bias.normal_()
    return norms


def test_norms_side_by_side_scale_and_shift_by_their_own_parameters_and_the_factors():
    torch.manual_seed(0)
    norms, x = make_affine_norms(3, 3), torch.randn(4, 6, 2, 2, dtype=torch.float64)
    alone = [norm(part) for norm, part in zip(norms, x.split(3, 1), strict=True)]
    torch.testing.assert_close(affine_batch_norm(x, norms), torch.cat(alone, 1))
    factors = torch.tensor([2.0, -3.0], dtype=torch.float64)
    weighed = torch.cat([part * factor for part, factor in zip(alone, factors, strict=True)], 1)
    torch.testing.assert_close(affine_batch_norm(x, norms, factors[:, None]), weighed)
    by_channel = torch.randn(2, 3, dtype=torch.float64)
    expected = torch.cat(alone, 1) * by_channel.flatten()[:, None, None]
    torch.testing.assert_close(affine_batch_norm(x, norms, by_channel), expected)
    torch.testing.assert_close(affine_batch_norm(x, norms, by_channel.view(6, 1)), expected)


def test_a_map_with_the_first_channels_of_its_norms_uses_and_measures_those_alone():
    torch.manual_seed(0)
    norms, x = make_affine_norms(3, 4), torch.randn(8, 3, 2, 2, dtype=torch.float64)
    with measure_statistics(norms):
        measured = affine_batch_norm(x, norms, sizes=[2, 1])
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    torch.testing.assert_close(norms[0].mean, torch.cat([mean[:2], torch.zeros(1, dtype=torch.float64)]))
    torch.testing.assert_close(norms[1].var, torch.cat([var[2:], torch.ones(3, dtype=torch.float64)]))
    for norm in norms:
        norm.eval()
    scale = torch.cat([norms[0].weight[:2], norms[1].weight[:1]])
    shift = torch.cat([norms[0].bias[:2], norms[1].bias[:1]])
    torch.testing.assert_close(measured, F.batch_norm(x, None, None, scale, shift, training=True))
    torch.testing.assert_close(affine_batch_norm(x, norms, sizes=[2, 1]), F.batch_norm(x, mean, var, scale, shift))
