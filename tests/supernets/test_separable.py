from __future__ import annotations

import copy

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasplug.supernets import Norm, batch_statistics, recalibrate
from nasplug.supernets import separable as package
from nasplug.supernets.separable import SeparableStage, _Separable, repeat_sources, separable, separable_of_batch


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


def compute(sources, layers, stride, dilation, scale):
    *first, last = layers
    return separable(sources, [*first, attrs.evolve(last, scale=scale)], stride, dilation)


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
    [
        *[
            (kernel, repeats, stride, dilation, size)
            for kernel, size in ((3, (7, 6)), (5, (9, 10)))
            for repeats in (1, 2, 3)
            for stride in (1, 2)
            for dilation in (1, 2)
        ],
        (5, 1, 1, 2, (5, 4)),
        (7, 2, 2, 1, (4, 3)),
        (7, 2, 2, 2, (4, 3)),
    ],
)
def test_stages_and_all_gradients_are_those_of_torch(kernel, repeats, stride, dilation, size, counts):
    sources = [(random(2 + number, 3, *size)[:2], count) for number, count in enumerate(counts)]
    layers, scale = stages(kernel, counts, repeats), random(3 * sum(counts))
    expected = plain(sources, layers, stride, dilation, scale)
    result = compute(sources, layers, stride, dilation, scale)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    towards, inputs = torch.randn_like(expected), inputs_of(sources, layers, scale)
    pairs = zip(*(torch.autograd.grad(y, inputs, towards) for y in (result, expected)), strict=True)
    for gradient, expected_gradient in pairs:
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("channels", [3, 8])
def test_affine_norms_of_every_stage_and_their_running_averages_are_those_of_torch(channels, monkeypatch):
    monkeypatch.setattr(batch_statistics, "MANY_PIXELS", 64)
    torch.manual_seed(0)
    sources = [(random(2 + number, channels, 8, 8)[:2], count) for number, count in enumerate((2, 1))]
    layers = [
        attrs.evolve(stage, norms=[nn.BatchNorm2d(channels).double() for _ in stage.norms])
        for stage in stages(3, (2, 1), channels=channels)
    ]
    for norm in (norm for stage in layers for norm in stage.norms):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    copies = copy.deepcopy([stage.norms for stage in layers])
    layers = [
        attrs.evolve(
            stage,
            scale=torch.cat([norm.weight for norm in stage.norms]),
            shift=torch.cat([norm.bias for norm in stage.norms]),
        )
        for stage in layers
    ]
    result, expected = separable_of_batch(sources, layers, 1, 2), repeat_sources(sources)
    for stage, norms in zip(layers, copies, strict=True):
        x = F.conv2d(expected.relu() if stage is layers[1] else expected, stage.depthwise, None, 1, 2, 2, 3 * channels)
        parts = F.conv2d(x, stage.pointwise, groups=3).chunk(3, 1)
        expected = torch.cat([norm(part) for norm, part in zip(norms, parts, strict=True)], 1)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
    for stage, norms in zip(layers, copies, strict=True):
        for norm, plain_norm in zip(stage.norms, norms, strict=True):
            torch.testing.assert_close(norm.running_mean, plain_norm.running_mean)
            torch.testing.assert_close(norm.running_var, plain_norm.running_var)
            assert norm.num_batches_tracked == 1
    kernels = [x for stage in layers for x in (stage.depthwise, stage.pointwise)]
    inputs = [*(x for x, _ in sources), *kernels]
    norms = [norm for stage in layers for norm in stage.norms], [norm for group in copies for norm in group]
    found, wanted = (
        torch.autograd.grad(y.pow(3).sum(), [*inputs, *(p for norm in each for p in norm.parameters())])
        for y, each in zip((result, expected), norms, strict=True)
    )
    for gradient, expected_gradient in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-8)


def test_an_expanded_scale_is_read_as_it_is():
    sources, layers = [(random(2, 3, 4, 4), 1)], stages(3, (1,))
    weight = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    results = [function(sources, layers, 1, 1, weight.expand(3)) for function in (compute, plain)]
    found, expected = (torch.autograd.grad(y.pow(3).sum(), [weight, sources[0][0]]) for y in results)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_only_the_gradients_asked_for_are_computed():
    sources = [(random(2, 3, 4, 4).detach(), 2)]
    layers, scale = stages(3, (2,)), random(6)
    expected, result = (f(sources, layers, 1, 1, scale).square().sum() for f in (plain, compute))
    for asked in ([scale], [layers[0].depthwise], [layers[1].pointwise, scale]):
        gradient = torch.autograd.grad(result, asked, retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, asked, retain_graph=True))
    fixed = [SeparableStage(stage.depthwise.detach(), stage.pointwise.detach(), stage.norms) for stage in layers]
    (gradient,) = torch.autograd.grad(compute(sources, fixed, 1, 1, scale).square().sum(), scale)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, scale)[0])


def test_second_derivatives_are_those_of_torch():
    sources, layers, scale = [(random(2, 2, 4, 4), 2)], stages(3, (2,), channels=2), random(4)
    inputs, seconds = inputs_of(sources, layers, scale), []
    for function in (compute, plain):
        slopes = torch.autograd.grad(function(sources, layers, 1, 1, scale).pow(3).sum(), inputs, create_graph=True)
        seconds.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs))
    assert all(second.any() for second in seconds[1])
    for gradient, expected_gradient in zip(*seconds, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-7, atol=1e-7)


def test_two_maps_of_each_stage_and_no_copy_of_the_sources_are_held():
    x, layers, scale = random(4, 3, 8, 8), stages(3, (4,)), random(12)
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: held.append(saved.shape) or saved, lambda saved: saved):
        compute([(x, 4)], layers, 1, 1, scale)
    assert sorted(shape for shape in held if len(shape) == 4 and shape[0] == 4) == [(4, 3, 8, 8), *[(4, 12, 8, 8)] * 4]


def test_measured_statistics_are_used_in_evaluation(monkeypatch):
    x, layers, scale = random(4, 3, 6, 6), stages(3, (2,)), random(6)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(norm for stage in layers for norm in stage.norms)

        def forward(self, images):
            return compute([(images, 2)], layers, 1, 1, scale)

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
    assert isinstance(compute([(x, 1)], layers, 1, 1, scale).grad_fn, _Separable._backward_cls)
