"""Spaces from a network of one's own: what is derived from it, against the same computed in a plain way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nasplug
from nasplug import Choose, space_from
from nasplug.errors import InputError
from nasplug.supernets import ChoiceNetwork
from nasplug.values import Genotype, ImageShape
from nasplug.values.options import build, option_values

SHAPE = ImageShape(channels=2, size=8, classes=3)


def layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.BatchNorm2d(outputs), nn.Tanh())


def candidates(width: int) -> dict[str, nn.Module]:
    return {"wide": layer(width, width, 3), "narrow": layer(width, width, 1), "skip": nn.Identity()}


class Stage(nn.Module):
    """Two choices with a shortcut around the second; inside one candidate of the first there is a third."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = layer(inputs, width, 3, 2)
        deep = nn.Sequential(layer(width, width, 3), Choose({"more": layer(width, width, 3), "less": nn.Identity()}))
        self.first = Choose({**candidates(width), "deep": deep})
        self.second = Choose(candidates(width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.enter(x))
        return x + 0.5 * self.second(x)


class Staged(nn.Module):
    """Stages that are called in a loop, and a head that the module computes itself."""

    def __init__(self, image_channels: int, classes: int, channels: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.stem = layer(image_channels, channels, 3)
        self.stages = nn.ModuleList(Stage(channels * 2**n, channels * 2 ** (n + 1)) for n in range(depth))
        self.head = nn.Linear(channels * 2**depth, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((2, 3)))


StagedSpace = space_from(Staged)
SPACE = StagedSpace()
NAMES = [f"stages.{n}.{name}" for n in (0, 1) for name in ("first", "first.deep.1", "second")]


def test_choices_have_the_names_of_their_places_and_blocks_are_the_stages() -> None:
    choices = SPACE.choice_list()
    assert [choice.name for choice in choices] == NAMES
    assert [choice.blocks for choice in choices] == [(0,)] * 3 + [(1,)] * 3
    assert choices[1].parent == ("stages.0.first", "deep")
    assert [choice.candidates for choice in choices[:2]] == [("wide", "narrow", "skip", "deep"), ("more", "less")]
    assert SPACE.taps() == 2
    assert SPACE.paths(None).count == ((3 + 2) * 3) ** 2
    assert SPACE.paths(0).count == 15


def count(net: nn.Module, shape: ImageShape) -> tuple[int, int]:
    """Parameters, and the multiply-accumulates of every convolution and linear layer that computes, by its formula."""
    macs = []

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            macs.append(module.weight.numel() * output.shape[2] * output.shape[3])
        elif isinstance(module, nn.Linear):
            macs.append(module.weight.numel())

    for module in net.modules():
        module.register_forward_hook(add)
    with torch.no_grad():
        net.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
    return sum(parameter.numel() for parameter in net.parameters()), sum(macs)


@pytest.mark.parametrize("channels", [4, 7])
def test_costs_are_those_of_the_built_network(channels: int) -> None:
    space = SPACE.scaled(channels=channels)
    shape = ImageShape(1, 13, 5)
    for genotype in space.paths(None).select(25, Random(channels)):
        costs = space.cost(genotype, shape)
        assert (costs.params, costs.macs) == count(space.network(genotype, shape), shape)
        paths = [Genotype(space.name, [pick for pick in genotype.picks if f"stages.{n}." in pick[0]]) for n in (0, 1)]
        blocks = [space.path_cost(n, path, None, shape) for n, path in enumerate(paths)]
        assert sum(block.params for block in blocks) == costs.params
        assert sum(block.macs for block in blocks) == costs.macs


class Shared(nn.Module):
    """A choice that computes twice, and two choices with one module in common, which is outside of both, too."""

    def __init__(self, image_channels: int, classes: int) -> None:
        super().__init__()
        self.common = nn.Conv2d(4, 4, 3, padding=1)
        self.stem = nn.Conv2d(image_channels, 4, 1)
        self.twice = Choose({"a": nn.Conv2d(4, 4, 1), "b": nn.Conv2d(4, 4, 3, padding=1)})
        self.left = Choose({"common": self.common, "own": nn.Conv2d(4, 4, 1)})
        self.right = Choose({"common": self.common, "own": nn.Conv2d(4, 4, 5, padding=2)})
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.stem(x)))
        x = self.common(self.left(x) + self.right(x))
        return self.head(x.mean((2, 3)))


def test_what_is_shared_counts_once_in_parameters_and_each_time_in_macs() -> None:
    space = space_from(Shared)()
    for genotype in space.paths(None).enumerate():
        costs = space.cost(genotype, SHAPE)
        assert (costs.params, costs.macs) == count(space.network(genotype, SHAPE), SHAPE)


def plain_stage(stage: nn.Module, name: str, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """`Stage` with its choices written out as sums."""
    first, second = stage.first.candidates, stage.second.candidates
    x = stage.enter(x)
    deep, inner = first["deep"][0](x), first["deep"][1].candidates
    mixed = sum(weights[f"{name}.first.deep.1"][n] * inner[key](deep) for n, key in enumerate(("more", "less")))
    x = weights[f"{name}.first"][3] * mixed + sum(
        weights[f"{name}.first"][n] * first[key](x) for n, key in enumerate(("wide", "narrow", "skip"))
    )
    return x + 0.5 * sum(
        weights[f"{name}.second"][n] * second[key](x) for n, key in enumerate(("wide", "narrow", "skip"))
    )


def supernet(space=SPACE, shape: ImageShape = SHAPE):
    torch.manual_seed(0)
    net = space.supernet(shape).double()
    net.choices.alpha.data = torch.randn(net.choices.alpha.shape, dtype=torch.float64)
    return net


def images(shape: ImageShape = SHAPE, number: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(number, shape.channels, shape.size, shape.size, generator=generator).double()


def test_the_supernet_is_the_weighted_sum_loss_and_all_gradients() -> None:
    net, labels = supernet(), torch.arange(6) % 3
    F.cross_entropy(net(images()), labels).backward()
    fast = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    loss = F.cross_entropy(net(images()), labels)
    net.zero_grad()

    weights = {choice.name: row for choice, row in zip(net.choices, net.choices.weights(), strict=True)}
    x, module = net.net.stem(images()), net.net
    for number, stage in enumerate(module.stages):
        x = plain_stage(stage, f"stages.{number}", x, weights)
    plain = F.cross_entropy(module.head(x.mean((2, 3))), labels)
    plain.backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    for name, parameter in net.named_parameters():
        assert torch.allclose(fast[name], parameter.grad, rtol=1e-9, atol=1e-12), name


def test_one_path_of_the_supernet_is_the_network_with_its_weights() -> None:
    net = supernet()
    net.choices.relaxation = lambda alpha, active: active.to(alpha)
    for seed in range(6):
        genotype = SPACE.random(Random(seed))
        network = SPACE.network(genotype, SHAPE).double()
        weights = net.path_weights(genotype, network)
        assert weights.keys() == dict(network.named_parameters()).keys()
        network.load_state_dict(weights, strict=False)
        with net.choices.only(SPACE.encode(genotype, net.choices)):
            ours, theirs = net.outputs(images()), network.train().outputs(images())
        assert torch.allclose(ours.logits, theirs.logits, rtol=1e-12)
        assert [torch.allclose(*taps, rtol=1e-12) for taps in zip(ours.taps, theirs.taps, strict=True)] == [True] * 2
    wider = SPACE.scaled(channels=8).network(genotype, SHAPE)
    assert net.path_weights(genotype, wider) == {}


def test_a_row_without_candidates_gives_zeros_of_the_right_shape() -> None:
    net = supernet()
    mask = net.choices.valid_mask.clone()
    mask[net.choices.rows["stages.0.first"]] = False
    with net.choices.only(mask):
        first = net.net.stages[0].first(torch.randn(2, 8, 4, 4).double())
        assert first.shape == (2, 8, 4, 4)
        assert not first.any()
        assert net(images()).isfinite().all()


def test_blocks_compute_what_the_network_computes() -> None:
    net = supernet()
    blocks = net.blocks()
    assert [len(block.layers) for block in blocks] == [2, 1]
    assert [[net.choices.choices[row].name for row in block.layers[-1].rows] for block in blocks] == [
        NAMES[:3],
        NAMES[3:],
    ]
    with torch.no_grad():
        taps = net.outputs(images()).taps
        for block, (given, expected) in zip(blocks, pairwise((images(), *taps)), strict=True):
            assert torch.equal(block([given]), expected)
            assert (block.output.channels, block.output.size) == expected.shape[1:3]
    mine = {id(parameter) for block in blocks for parameter in block.parameters()}
    outside = {name for name, parameter in net.named_parameters() if id(parameter) not in mine}
    assert outside == {"choices.alpha", "net.head.weight", "net.head.bias"}


# Where blocks are, and where there are none.


class Features(nn.Module):
    def __init__(self, image_channels: int, classes: int) -> None:
        super().__init__()
        stages = [
            nn.Sequential(layer(n, 4, 3), Choose(candidates(4)), Choose(candidates(4))) for n in (image_channels, 4)
        ]
        self.features = nn.Sequential(layer(image_channels, image_channels, 1), *stages, nn.ReLU())
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Inline(Features):
    """Something between two stages that is no module."""

    def __init__(self, image_channels: int, classes: int) -> None:
        super().__init__(image_channels, classes)
        self.stages = nn.ModuleList(self.features[1:3])
        del self.features

    def between(self, x: Tensor) -> Tensor:
        return x.tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages[1](self.between(self.stages[0](x))).mean((2, 3)))


class InPlace(Inline):
    def between(self, x: Tensor) -> Tensor:
        return x.mul_(2)


class Parallel(Inline):
    def forward(self, x: Tensor) -> Tensor:
        entered = self.stages[0](x)
        return self.head((self.stages[1](entered) + self.stages[1](entered.tanh())).mean((2, 3)))


class HeadChosen(Features):
    def __init__(self, image_channels: int, classes: int) -> None:
        super().__init__(image_channels, classes)
        self.head = Choose({"linear": nn.Linear(4, classes), "free": nn.Linear(4, classes, bias=False)})


def named(image_channels: int, classes: int) -> nn.Module:
    """Both stages choose alike."""
    stages = [nn.Sequential(layer(n, 4, 3), Choose(candidates(4), name="both")) for n in (image_channels, 4)]
    return nn.Sequential(*stages, nn.Flatten(), nn.AdaptiveAvgPool1d(8), nn.Linear(8, classes))


@pytest.mark.parametrize(
    ("factory", "blocks", "taps"),
    [
        (Features, [(0,), (0,), (1,), (1,)], 2),
        (Inline, [(0,)] * 4, 1),
        (InPlace, [(0,)] * 4, 1),
        (Parallel, [(0,)] * 4, 1),
        (HeadChosen, [(0,)] * 5, 1),
        (named, [(0, 1)], 2),
    ],
)
def test_blocks_are_submodules_that_follow_one_another(
    factory: Callable[..., nn.Module], blocks: list[tuple[int, ...]], taps: int
) -> None:
    space = space_from(factory)()
    assert [choice.blocks for choice in space.choice_list()] == blocks
    net = supernet(space)
    assert len(net.blocks()) == (2 if factory is Features else 1)
    outputs = net.outputs(images())
    assert len(outputs.taps) == space.taps() == taps
    assert all(tap.dim() == 4 for tap in outputs.taps)
    genotype = space.random(Random(0))
    assert space.cost(genotype, SHAPE).macs == count(space.network(genotype, SHAPE), SHAPE)[1]


# Networks of their own.


def test_random_numbers_stay_as_they_were_and_networks_get_weights_of_their_own() -> None:
    other = space_from(Staged, name="other")(channels=5)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    genotype = other.random(Random(0))
    other.cost(genotype, SHAPE)
    other.taps()
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (other.network(genotype, SHAPE) for _ in range(2))
    assert not torch.equal(first.net.head.weight, second.net.head.weight)
    torch.manual_seed(3)
    again = other.network(genotype, SHAPE)
    assert all(
        torch.equal(*pair) for pair in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_stand_alone_network_is_the_users_module_with_plain_modules_in_it() -> None:
    genotype = SPACE.paths(None).sample(Random(1))
    network = SPACE.network(genotype, SHAPE)
    assert isinstance(network, ChoiceNetwork)
    assert isinstance(network.net, Staged)
    assert not any(isinstance(module, Choose) for module in network.modules())


def test_dropout_and_drop_path_do_what_they_say() -> None:
    genotype = next(
        genotype
        for genotype in SPACE.paths(None).enumerate()
        if dict(genotype.picks)["stages.0.first"] == ("wide",) and dict(genotype.picks)["stages.0.second"] == ("skip",)
    )
    torch.manual_seed(0)
    network = SPACE.network(genotype, SHAPE)
    seen: dict[str, Tensor] = {}
    for name in ("head", "stages.0.first", "stages.0.second"):
        network.net.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: inputs[0], f"{name} out": output})
        )
    batch = torch.randn(400, 2, 8, 8)
    network.train().dropout = 0.25
    network.outputs(batch)
    assert float((seen["head"] == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    network.dropout, network.drop_path = 0.0, 0.5
    second = {}
    network.net.stages[0].second.register_forward_hook(lambda _, inputs, output: second.update(given=inputs[0]))
    network.outputs(batch)
    dropped = (second["given"] == 0).flatten(1).all(1)
    assert float(dropped.float().mean()) == pytest.approx(0.5, abs=0.08)
    # nn.Identity keeps what it reads
    assert torch.equal(seen["stages.0.second"], seen["stages.0.second out"])
    network.eval()
    network.dropout = 0.5
    network.outputs(batch)
    assert not (seen["head"] == 0).any()
    assert not (second["given"] == 0).flatten(1).all(1).any()


def test_a_module_at_several_places_is_dropped_once_in_each_of_them() -> None:
    class Twice(nn.Module):
        def __init__(self, image_channels: int, classes: int) -> None:
            super().__init__()
            self.first = self.second = Choose(
                {"one": nn.Conv2d(image_channels, image_channels, 1), "id": nn.Identity()}
            )
            self.head = nn.Linear(image_channels, classes)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.second(self.first(x)).mean((2, 3)))

    space = space_from(Twice)()
    network = space.network(Genotype(space.name, {"first": ("one",)}), SHAPE)
    given: list[Tensor] = []
    network.net.first.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    network.train().drop_path = 0.25
    images = torch.rand(2000, 2, 8, 8) + 1
    network.outputs(images)
    dropped = (given[1] == 0).flatten(1).all(1)
    assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.05)


# Options, size, and what cannot be a space.


def test_parameters_are_options_and_one_of_them_is_the_width() -> None:
    def tree(image_channels: int, classes: int, base: int = 6, leaves: bool = True, size: int = 0) -> nn.Module:
        head = nn.Linear(base * (size if leaves else 1), classes)
        return nn.Sequential(
            layer(image_channels, base, 3),
            Choose(candidates(base)),
            nn.AdaptiveAvgPool2d((size if leaves else 1, 1)),
            nn.Flatten(),
            head,
        )

    space = space_from(tree, name="oak", channels="base")()
    assert (space.name, option_values(space)) == ("oak", {"channels": 6, "leaves": True})
    assert space.size() == {"channels": 6}
    wider = space.scaled(channels=9)
    assert build(type(space), {**option_values(space), **wider.size()}, "space oak") == wider
    genotype = wider.random(Random(0))
    net = wider.network(genotype, ImageShape(1, 10, 4))
    assert net.net[-1].weight.shape == (4, 90)
    with pytest.raises(InputError, match="must be at least 1"):
        type(space)(channels=0)

    fixed = space_from(tree, name="fixed")()
    assert fixed.size() == {}
    for asked in ({"channels": 8}, {"cells": 2}):
        with pytest.raises(InputError, match=r"since the space has no option of that name"):
            fixed.scaled(**asked)


def no_choice(image_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(image_channels, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def alone(image_channels: int, classes: int) -> nn.Module:
    return Choose({"a": no_choice(image_channels, classes), "b": no_choice(image_channels, classes)})


def no_module(image_channels: int, classes: int) -> object:
    return [image_channels, classes]


def bare_map(image_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(Choose({"a": nn.Conv2d(image_channels, classes, 1)}))


def broken(image_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(Choose({"a": nn.Conv2d(7, 7, 1)}), nn.Flatten())


def unequal(image_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(Choose({"a": nn.Conv2d(image_channels, 2, 1), "b": nn.Conv2d(image_channels, 2, 3)}))


def twins(image_channels: int, classes: int) -> nn.Module:
    return nn.Sequential(Choose({"a": nn.Identity()}, "x"), Choose({"b": nn.Identity()}, "x"))


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (no_choice, "The network that no_choice makes has no nasplug.Choose in it"),
        (no_module, "no_module has to make a torch module, but it makes"),
        (bare_map, r"has to give a value for each class of each image, \(2, 10\).*makes \(2, 10, 32, 32\)"),
        (broken, "The network that broken makes cannot be built for images of 3x32x32 and compute them: "),
        (unequal, r"choice '0' .* they give: 'a' \(2, 2, 32, 32\), 'b' \(2, 2, 30, 30\)"),
        (twins, r"at '0' and '1' are both called 'x', but differ \(a; b\)"),
    ],
)
def test_networks_that_are_no_space_are_refused_in_a_sentence(factory: Callable[..., nn.Module], words: str) -> None:
    with pytest.raises(InputError, match=words):
        space_from(factory)().choice_list()


def test_a_network_that_is_itself_a_choice_is_one() -> None:
    space = space_from(alone)()
    assert [choice.name for choice in space.choice_list()] == ["0"]
    assert space.taps() == 0
    net = supernet(space)
    assert net(images()).shape == (6, 3)


def test_what_cannot_make_networks_is_refused_in_a_sentence() -> None:
    def only_images(image_channels: int) -> nn.Module:
        return nn.Identity()

    def unknown(image_channels: int, classes: int, depth: int) -> nn.Module:
        return nn.Identity()

    def taken(image_channels: int, classes: int, cost: int = 3) -> nn.Module:
        return nn.Identity()

    for wrong, options, words in (
        (Staged(1, 2), {}, r"the class or function that makes a network.* but got Staged; hand over the class"),
        (only_images, {}, "only_images takes no parameter 'classes'"),
        (unknown, {}, "unknown needs a value for its parameter 'depth'"),
        (taken, {}, "'cost' of taken would be the option 'cost'"),
        (Staged, {"channels": "width"}, "Staged takes no parameter 'width' with a whole number"),
    ):
        with pytest.raises(InputError, match=words):
            space_from(wrong, **options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Choose takes modules by name"),
        ([nn.Identity()], "Choose takes modules by name"),
        ({"a": nn.Identity}, "The candidate 'a' is no module"),
        ({"a.b": nn.Identity()}, "No candidate can be called 'a.b'"),
        ({"pop": nn.Identity()}, "No candidate can be called 'pop'"),
    ],
)
def test_choices_that_are_none_are_refused_in_a_sentence(given: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Choose(given)  # type: ignore[arg-type]


def test_a_choice_outside_of_nasplug_is_the_mean_of_its_candidates() -> None:
    x = torch.randn(2, 3)
    assert torch.allclose(Choose({"same": nn.Identity(), "none": nn.Threshold(1e9, 0)})(x), x / 2)


def test_nasplug_has_no_other_lazy_names() -> None:
    assert nasplug.Choose is Choose
    with pytest.raises(AttributeError, match="no attribute 'Chose'"):
        nasplug.Chose  # noqa: B018 - the access raises
