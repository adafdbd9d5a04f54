from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasplug.supernets import Norm, recalibrate
from nasplug.supernets import separable as package
from nasplug.supernets.separable import SeparableStage, _Separable, repeat_sources, separable


def random(*shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return (x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x).requires_grad_()


def stages(kernel, counts, repeats=2, channels=3):
    groups = sum(counts)
    return [
        SeparableStage(
            random(groups * channels, 1, kernel, kernel),
            random(groups * channels, channels, 1, 1),
            [Norm(channels).double() for _ in range(groups)],
        )
        for _ in range(repeats)
    ]


def plain(sources, layers, stride, dilation, scale):
    x = repeat_sources(sources)
    for number, stage in enumerate(layers):
        x, groups = F.relu(x) if number else x, len(stage.norms)
        padding = dilation * (stage.depthwise.shape[2] // 2)
        x = F.conv2d(x, stage.depthwise, None, 1 if number else stride, padding, dilation, groups=x.shape[1])
        x = F.batch_norm(F.conv2d(x, stage.pointwise, groups=groups), None, None, training=True)
    return x * scale.view(1, -1, 1, 1)


def inputs_of(sources, layers, scale):
    return [scale, *(x for x, _ in sources), *(w for stage in layers for w in (stage.depthwise, stage.pointwise))]


@pytest.mark.parametrize("counts", [(1,), (3,), (2, 1)])
@pytest.mark.parametrize(
    ("kernel", "repeats", "stride", "dilation", "size"),
    [(3, 2, 1, 1, (6, 6)), (5, 2, 2, 1, (7, 8)), (5, 1, 1, 2, (5, 4)), (3, 1, 2, 2, (7, 6)), (7, 2, 2, 1, (4, 3))],
)
def test_stages_and_all_gradients_are_those_of_torch(kernel, repeats, stride, dilation, size, counts):
    sources = [(random(2 + number, 3, *size)[:2], count) for number, count in enumerate(counts)]
    layers, scale = stages(kernel, counts, repeats), random(3 * sum(counts))
    expected = plain(sources, layers, stride, dilation, scale)
    result = separable(sources, layers, stride, dilation, scale)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    towards, inputs = torch.randn_like(expected), inputs_of(sources, layers, scale)
    pairs = zip(*(torch.autograd.grad(y, inputs, towards) for y in (result, expected)), strict=True)
    for gradient, expected_gradient in pairs:
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-9)


def test_only_the_gradients_asked_for_are_computed():
    sources = [(random(2, 3, 4, 4).detach(), 2)]
    layers, scale = stages(3, (2,)), random(6)
    expected, result = (f(sources, layers, 1, 1, scale).square().sum() for f in (plain, separable))
    for asked in ([scale], [layers[0].depthwise], [layers[1].pointwise, scale]):
        gradient = torch.autograd.grad(result, asked, retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, asked, retain_graph=True))
    fixed = [SeparableStage(stage.depthwise.detach(), stage.pointwise.detach(), stage.norms) for stage in layers]
    (gradient,) = torch.autograd.grad(separable(sources, fixed, 1, 1, scale).square().sum(), scale)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, scale)[0])


def test_second_derivatives_are_those_of_torch():
    sources, layers, scale = [(random(2, 2, 4, 4), 2)], stages(3, (2,), channels=2), random(4)
    inputs, seconds = inputs_of(sources, layers, scale), []
    for compute in (separable, plain):
        slopes = torch.autograd.grad(compute(sources, layers, 1, 1, scale).pow(3).sum(), inputs, create_graph=True)
        seconds.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs))
    assert all(second.any() for second in seconds[1])
    for gradient, expected_gradient in zip(*seconds, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-7, atol=1e-7)


def test_two_maps_of_each_stage_and_no_copy_of_the_sources_are_held():
    x, layers, scale = random(4, 3, 8, 8), stages(3, (4,)), random(12)
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: held.append(saved.shape) or saved, lambda saved: saved):
        separable([(x, 4)], layers, 1, 1, scale)
    assert sorted(shape for shape in held if len(shape) == 4 and shape[0] == 4) == [(4, 3, 8, 8), *[(4, 12, 8, 8)] * 4]


def test_measured_statistics_are_used_in_evaluation(monkeypatch):
    x, layers, scale = random(4, 3, 6, 6), stages(3, (2,)), random(6)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(norm for stage in layers for norm in stage.norms)

        def forward(self, images):
            return separable([(images, 2)], layers, 1, 1, scale)

    net = Net().train()
    trained = net(x)
    recalibrate(net, [x])
    torch.testing.assert_close(net(x), trained)
    net.eval()
    assert not torch.allclose(net(x), trained)
    torch.testing.assert_close(net(x)[:1], net(x[:1]))
    monkeypatch.setattr(package, "uses_torch_kernels", lambda _: True)
    net.train()
    torch.testing.assert_close(net(x), trained)


def test_the_function_takes_part():
    x, layers, scale = random(2, 3, 4, 4), stages(3, (1,)), random(3)
    assert isinstance(separable([(x, 1)], layers, 1, 1, scale).grad_fn, _Separable._backward_cls)
