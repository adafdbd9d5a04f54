from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest
import torch
from nasplug_dnad.features import Features, FeatureStage
from torch import Tensor, nn

from nasplug.errors import InputError
from nasplug.parts import Batch, Choice, Choices, Network, Outputs, SearchSpace, Supernet, key_of
from nasplug.values import Genotype, ImageShape, StepClock, Update
from nasplug.values.options import build

NOW, UPDATE, SHAPE = StepClock(1, 1).at(0), Update("train", moves_weights=True, moves_alpha=True), ImageShape(3, 8, 5)


class Small(Supernet):
    """A convolution per tap; `strides` decides the size of each tap."""

    def __init__(self, channels: int, strides: tuple[int, ...] = (1, 2, 1)) -> None:
        super().__init__()
        inputs = (3, *(channels,) * (len(strides) - 1))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, channels, 3, stride, 1), nn.BatchNorm2d(channels))
            for before, stride in zip(inputs, strides, strict=True)
        )
        self.head = nn.Linear(channels, 5)
        self.choices = Choices([Choice("c", ("a", "b"))])

    def outputs(self, images: Tensor) -> Outputs:
        taps, state = [], images * self.choices.weights()[0, 0]
        for layer in self.layers:
            state = layer(state)
            taps.append(state)
        return Outputs(self.head(state.mean((2, 3))), tuple(taps))

    def prune(self) -> None:
        pass


def test_taps_of_one_pixel_are_compared_though_supernets_normalise_with_the_batch() -> None:
    net = Small(4, strides=(2, 2, 2))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    assert Features().stages(net, SHAPE, Small(6))


def batch() -> Batch:
    return Batch(torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 4, 0]))


def stage_for(net: Supernet, teacher: Network, **options: Any) -> FeatureStage:
    (stage,) = Features(**options).stages(net, SHAPE, teacher)
    assert isinstance(stage, FeatureStage)
    return stage


def by_hand(taps: list[Tensor], targets: list[Tensor], adaptors: list[tuple[Tensor, Tensor]]) -> Tensor:
    """KD of the released code, without torch's layers."""

    def standard(x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    total = torch.zeros((), dtype=taps[0].dtype)
    for ratio, tap, target, (kernel, bias) in zip((0.2, 0.3, 0.5), taps, targets, adaptors, strict=True):
        mapped = torch.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], tap) + bias[:, None, None]
        total = total + ratio * ((standard(mapped) - standard(target)) ** 2).mean()
    return total


def test_the_distance_and_its_gradients_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    stage = stage_for(Small(4), Small(6))
    taps = [torch.randn(5, 4, 8, 8, requires_grad=True) for _ in range(3)]
    targets = [torch.randn(5, 6, 8, 8) for _ in range(3)]
    adaptors = [(conv.weight, conv.bias) for conv in cast("list[nn.Conv2d]", list(stage.adaptors))]
    ours = stage.distance(taps, targets)
    theirs = by_hand(taps, targets, cast("list[tuple[Tensor, Tensor]]", adaptors))
    torch.testing.assert_close(ours, theirs)
    trained = [*taps, *(kernel for kernel, _ in adaptors)]
    gradients = zip(torch.autograd.grad(ours, trained), torch.autograd.grad(theirs, trained), strict=True)
    for our_gradient, their_gradient in gradients:
        torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-3, atol=1e-6)


def test_the_loss_is_cross_entropy_plus_the_weighted_distance() -> None:
    torch.manual_seed(0)
    net, teacher, images = Small(4), Small(6), batch()
    stage = stage_for(net, teacher, weight=0.7)
    out, targets = net.outputs(images.images), teacher.outputs(images.images).taps
    plain = nn.functional.cross_entropy(out.logits, images.labels)
    torch.testing.assert_close(stage(net, images, UPDATE, NOW), plain + 0.7 * stage.distance(out.taps, targets))
    assert torch.equal(stage_for(net, teacher, weight=0.0)(net, images, UPDATE, NOW), plain)


def test_network_alpha_and_adaptors_learn_but_the_teacher_does_not() -> None:
    torch.manual_seed(0)
    net, teacher = Small(4), Small(6).train()
    stage = stage_for(net, teacher)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    stage.train()
    stage(net, batch(), UPDATE, NOW).backward()
    learning = [*net.parameters(), *(conv.weight for conv in cast("list[nn.Conv2d]", list(stage.adaptors)))]
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in learning)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_teacher_is_not_saved() -> None:
    stage = stage_for(Small(4), Small(6))
    assert set(stage.state_dict()) == {f"adaptors.{tap}.{kind}" for tap in range(3) for kind in ("weight", "bias")}
    assert [tuple(conv.weight.shape) for conv in cast("list[nn.Conv2d]", list(stage.adaptors))] == [(6, 4, 1, 1)] * 3


def test_building_the_stage_leaves_the_network_as_it_was() -> None:
    net = Small(4).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    stage_for(net, Small(6))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_larger_taps_are_averaged_down() -> None:
    stage = stage_for(Small(4), Small(6))
    torch.manual_seed(0)
    tap, target = [torch.randn(5, 4, 4, 4)] * 3, torch.randn(5, 6, 8, 8)
    pooled = target.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    torch.testing.assert_close(stage.distance(tap, [target] * 3), stage.distance(tap, [pooled] * 3))


def test_the_distance_stays_float32_under_mixed_precision() -> None:
    torch.manual_seed(0)
    net, teacher, images = Small(4), Small(6), batch()
    stage = stage_for(net, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = stage(net, images, UPDATE, NOW)
        taps = [torch.randn(5, 4, 8, 8)] * 3
        inside = stage.distance(taps, [torch.ones(5, 6, 8, 8)] * 3)
    assert mixed.dtype == inside.dtype == torch.float32
    assert torch.equal(inside, stage.distance(taps, [torch.ones(5, 6, 8, 8)] * 3))


def test_networks_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 taps.*2"):
        stage_for(Small(4), Small(6, strides=(1, 2)))
    with pytest.raises(InputError, match=r"names 2 taps.*have 3"):
        Features(ratios=(0.5, 0.5)).check(cast("SearchSpace", Taps(3)))
    with pytest.raises(InputError, match="there is none"):
        Features().stages(Small(4), SHAPE, None)


class Taps:
    """A space, as far as the check of the shares can see."""

    name = "taps"

    def __init__(self, count: int) -> None:
        self.count = count

    def taps(self) -> int:
        return self.count


def test_the_shares_are_the_released_ones_or_grow_and_add_up_to_one() -> None:
    assert Features().shares(3) == (0.2, 0.3, 0.5)
    assert Features().shares(4) == (0.1, 0.2, 0.3, 0.4)
    for taps in range(1, 8):
        assert sum(Features().shares(taps)) == pytest.approx(1)
        Features().check(cast("SearchSpace", Taps(taps)))


class Nodes:
    """A space of four nodes that hold any non-empty subset of six candidates, as far as the teacher can see."""

    def __init__(self, channels: int = 8) -> None:
        self.channels = channels

    def size(self) -> dict[str, int | str]:
        return {"channels": self.channels}

    def scaled(self, channels: int) -> Nodes:
        return Nodes(channels)

    def random(self, generator: Random) -> Genotype:
        return Genotype("nodes", {f"n{node}": generator.sample("abcdef", generator.randint(1, 6)) for node in range(4)})

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        picks = {name: set(picked) for name, picked in genotype.picks}
        node = picks[f"n{generator.randrange(4)}"]
        node ^= {generator.choice("abcdef")}
        return Genotype("nodes", picks) if node else genotype


def test_the_teacher_is_wider_and_has_the_wanted_candidates() -> None:
    wide, genotype = Features().network(cast("SearchSpace", Nodes()), Random(0))
    assert wide.size()["channels"] == 16
    assert [len(picked) for _, picked in genotype.picks] == [3, 3, 3, 3]
    assert genotype == Features().network(cast("SearchSpace", Nodes()), Random(0))[1]
    assert genotype != Features().network(cast("SearchSpace", Nodes()), Random(1))[1]


def test_a_place_that_cannot_hold_so_many_is_left_as_it_is() -> None:
    _, genotype = Features(candidates=9).network(cast("SearchSpace", Nodes()), Random(0))
    assert all(len(picked) == 6 for _, picked in genotype.picks)


def test_steps_are_recorded_only_with_a_teacher_whose_operations_are_known() -> None:
    class Static(Small):
        static_graph = True

    keys = [key_of(stage_for(Small(4), each), NOW, methods=("forward",)) for each in (Small(6), Static(6))]
    assert keys == [None, ()]


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(InputError, match="ratios"):
        build(Features, {"ratios": [0.5, -0.5, 1.0]}, "features")
    assert build(Features, {"ratios": [0.0, 0.5, 1.0]}, "features").ratios == (0.0, 0.5, 1.0)
