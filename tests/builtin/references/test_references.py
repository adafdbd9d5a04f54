"""Reference networks against published figures, and at every size that they are used at."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torchvision
from torch import nn

from nasplug.builtin.costs.counted import Macs, Params
from nasplug.builtin.references.ds_cnn import DSCNN
from nasplug.builtin.references.layers import choose_strides
from nasplug.builtin.references.mobilenet import MobileNetV2
from nasplug.builtin.references.residual import Plain, ResNet8
from nasplug.errors import InputError
from nasplug.values import ImageShape

ALL = [Plain(), ResNet8(), DSCNN(), MobileNetV2()]
CIFAR10 = ImageShape(channels=3, size=32, classes=10)


def by_name(reference):
    return type(reference).__name__


def costs(net, shape):
    size = (shape.channels, shape.size, shape.size)
    return Params().cost(net.eval(), size), Macs().cost(net, size)


def test_resnet8_has_the_parameters_and_macs_of_mlperf_tiny():
    assert costs(ResNet8().network(CIFAR10), CIFAR10) == (77_850, 12_501_632)
    assert costs(ResNet8(bias=True).network(CIFAR10), CIFAR10) == (78_186, 12_501_632)


def test_mobilenetv2_costs_at_224_pixels_what_that_of_torchvision_costs():
    shape = ImageShape(channels=3, size=224, classes=1000)
    with torch.device("meta"):
        ours, published = MobileNetV2().network(shape).eval(), torchvision.models.mobilenet_v2().eval()
    assert Params().cost(ours, (3, 224, 224)) == Params().cost(published, (3, 224, 224)) == 3_504_872
    layers = [
        [
            (tuple(module.weight.shape), getattr(module, "stride", None))
            for module in net.modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        ]
        for net in (ours, published)
    ]
    assert layers[0] == layers[1]


def test_ds_cnn_has_the_parameters_of_mlperf_tiny_but_for_the_first_kernel_and_biases():
    """24,908 as Keras counts them, which counts running averages of batch norms, too."""
    shape = ImageShape(channels=1, size=32, classes=12)
    kernel, averages, biases = (40 - 9) * 64, 2 * 9 * 64, 9 * 64
    assert costs(DSCNN().network(shape), shape)[0] == 24_908 - kernel - averages - biases


def test_the_plain_network_is_resnet8_without_shortcuts():
    plain, residual = (dict(reference.network(CIFAR10).named_parameters()) for reference in (Plain(), ResNet8()))
    assert {name for name in residual if ".shortcut." not in name} == set(plain)
    assert all(plain[name].shape == residual[name].shape for name in plain)


def test_a_block_adds_its_branch_to_its_shortcut_or_drops_it_and_scales_those_it_keeps():
    torch.manual_seed(0)
    net = ResNet8(width=0.125).network(ImageShape(1, 8, 2)).double()
    (block,) = net.stages[0]
    block.branch.eval()  # batch norms of fixed statistics: what a sample gets does not depend on the others
    block.activation = nn.Identity()
    x = torch.randn(4000, 2, 3, 3, dtype=torch.float64)
    branch = block.branch(x)
    assert torch.equal(block(x, 0.0), branch + x)
    added = block(x, 0.25) - x
    kept = added.flatten(1).abs().amax(1) > 0
    assert 0.72 < kept.double().mean() < 0.78
    torch.testing.assert_close(added[kept], branch[kept] / 0.75)
    block.eval()
    assert torch.equal(block(x, 0.25), branch + x)


def test_the_probability_of_dropping_a_branch_grows_linearly_with_depth(monkeypatch):
    asked = []
    monkeypatch.setattr("nasplug.builtin.references.layers.drop_path", lambda x, p: asked.append(p) or x)
    net = ResNet8(width=0.25).network(ImageShape(1, 8, 2)).train()
    net.drop_path = 0.3
    net(torch.zeros(2, 1, 8, 8))
    assert asked == pytest.approx([0.1, 0.2, 0.3])
    net.eval()(torch.zeros(2, 1, 8, 8))
    assert len(asked) == 3


@pytest.mark.parametrize("reference", ALL, ids=by_name)
def test_dropout_acts_on_the_inputs_of_the_classifier_in_training_alone(reference):
    torch.manual_seed(0)
    net = reference.scaled(0.25).network(ImageShape(1, 8, 3))
    images = torch.randn(2, 1, 8, 8)
    net.dropout = 1 - 1e-6
    assert torch.allclose(net.train()(images), net.classifier.bias)
    assert not torch.allclose(net.eval()(images), net.classifier.bias)


@pytest.mark.parametrize(
    ("size", "last", "places", "strides"),
    [
        (32, 8, 5, (1, 1, 1, 2, 2)),
        (32, 4, 5, (1, 1, 2, 2, 2)),
        (8, 8, 5, (1, 1, 1, 1, 1)),
        (9, 8, 5, (1, 1, 1, 1, 2)),
        (28, 4, 3, (2, 2, 2)),
        (224, 8, 5, (2, 2, 2, 2, 2)),
        (1000, 4, 2, (2, 2)),
    ],
)
def test_the_last_places_halve_the_map_until_it_is_small_enough(size, last, places, strides):
    assert choose_strides(size, places, last) == strides


@pytest.mark.parametrize("reference", ALL, ids=by_name)
@pytest.mark.parametrize("size", [8, 9, 15, 28, 33, 64, 96, 224])
def test_the_last_map_has_three_to_eight_pixels_for_images_of_every_size(reference, size):
    shape = ImageShape(channels=2, size=size, classes=3)
    with torch.no_grad():
        outputs = reference.scaled(1 / 16).network(shape).eval().outputs(torch.randn(1, 2, size, size))
    assert outputs.logits.shape == (1, 3)
    assert outputs.logits.isfinite().all()
    assert 3 <= outputs.taps[-1].shape[-1] <= 8
    assert outputs.taps[-1].shape[-1] == outputs.taps[-1].shape[-2]


@pytest.mark.parametrize("reference", ALL, ids=by_name)
def test_steps_of_width_are_so_fine_that_a_budget_can_be_used_up(reference):
    """From a tenth of the published parameters on, a step adds less than a tenth; no step takes any away."""
    widths = [width for width in reference.widths() if 0.3 <= width <= 0.45]
    with torch.device("meta"):
        params = [Params().cost(reference.scaled(width).network(CIFAR10), (3, 32, 32)) for width in widths]
    steps = [after / before for before, after in pairwise(params)]
    assert min(steps) >= 1
    assert max(steps) < 1.1


@pytest.mark.parametrize("reference", ALL, ids=by_name)
def test_widths_ascend_from_tiny_to_eight_times_and_give_at_least_one_channel(reference):
    widths = list(reference.widths())
    assert widths == sorted(set(widths))
    assert widths[0] == 1 / 128
    assert widths[-1] == 8
    assert reference.scaled(2.0).size()["width"] == 2
    net = reference.scaled(widths[0]).network(ImageShape(1, 8, 2))
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 2)


def test_a_width_that_is_not_above_zero_is_refused():
    with pytest.raises(InputError, match="'width' must be above 0"):
        ResNet8().scaled(0.0)


@pytest.mark.parametrize("reference", ALL, ids=by_name)
def test_it_learns_to_tell_stripes_apart(reference):
    torch.manual_seed(0)
    labels = torch.arange(16) % 2
    images = torch.zeros(16, 1, 8, 8)
    images[labels == 0, :, ::2], images[labels == 1, :, :, ::2] = 1.0, 1.0
    images += 0.1 * torch.randn(images.shape)
    net = reference.scaled(0.125).network(ImageShape(1, 8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 < losses[0]
