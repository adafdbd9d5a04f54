from __future__ import annotations

from random import Random

import attrs
import pytest
import torch
from torch import nn

from nasplug.builtin.compact import Compact
from nasplug.parts import Batch, Rater
from nasplug.supernets import Norm, PathRating, recalibrate
from nasplug.values import Genotype, ImageShape
from tests.builtin.mixtures import EXACT, assert_same_outputs, gradients


def assert_same(space, net, images, plain):
    """Logits, taps and gradients are those of the plain supernet; returns the gradients by name."""
    return assert_same_outputs(net, net.outputs(images), *plain(space, net, images))


@pytest.mark.parametrize(
    "options", [{}, {"activation": "relu6", "head": 5}, {"multipliers": (1.0,)}, {"stem": "imagenet"}]
)
def test_the_mixture_its_taps_and_all_gradients_are_the_explicit_sums(space, build, plain, options):
    space = attrs.evolve(space, **options)
    net, images = build(space)
    expected = assert_same(space, net, 4 * images, plain)
    for row, choice in enumerate(net.choices):
        assert expected["choices.alpha"][row, : len(choice.candidates)].all(), choice.name


def test_weights_need_not_add_up_to_one_nor_be_positive(space, build, plain):
    net, images = build(space)
    net.choices.relaxation = lambda alpha, active: alpha * active
    assert_same(space, net, images, plain)


def test_deleted_candidates_and_widths_are_gone_and_pruning_changes_nothing(space, build, plain):
    net, images = build(space)
    deleted = torch.rand(net.choices.kept.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    deleted[net.choices.rows["1/width"], :3] = torch.tensor([False, True, True])
    deleted[net.choices.rows["2/width"], :3] = torch.tensor([False, False, True])
    net.choices.delete(deleted)
    assert_same(space, net, images, plain)
    before, size = net(images), sum(parameter.numel() for parameter in net.parameters())
    net.prune()
    net.prune()
    assert torch.equal(net(images), before)
    assert sum(parameter.numel() for parameter in net.parameters()) < 0.7 * size
    left = {
        f"{number}/{layer}/{name}"
        for number, stage in enumerate(net.stages)
        for layer, mixed in enumerate(stage.layers, 1)
        for name in mixed.candidates
    }
    kept = {f"{choice.name}/{name}" for choice in net.choices for name in net.choices.active_names(choice.name)}
    assert left == {name for name in kept if "width" not in name and "skip" not in name}


def test_only_the_channels_of_the_widest_active_width_are_computed(space, build, monkeypatch):
    net, images = build(space)
    genotype = space.parse("2s1 conv3 skip | 9s2 ds3 ir3e2 | 4s1 res3 pool")
    seen = []
    monkeypatch.setattr(
        "nasplug.builtin.compact.supernet.SupernetStage.run_layer",
        recorded(type(net.stages[0]).run_layer, lambda x: seen.append(x.shape[1])),
    )
    with net.choices.only(space.encode(genotype, net.choices)):
        reached = gradients(net, net(images))
    assert seen == [2, 2, 9, 9, 4, 4]
    candidates = {
        f"{name.split('.')[1]}/{int(name.split('.')[3]) + 1}/{name.split('.')[5]}"
        for name in reached
        if "candidates" in name
    }
    assert candidates == {"0/1/conv3", "1/1/ds3", "1/2/ir3e2", "2/1/res3", "2/2/pool"}
    convolution = reached["stages.0.layers.0.candidates.conv3.convolution.weight"]
    assert convolution[:2, :2].all()
    assert not convolution[2:].any()
    assert not convolution[:, 2:].any()


def recorded(function, record):
    def call(*arguments):
        out = function(*arguments)
        record(out)
        return out

    return call


def stand_alone(space, net, genotype, shape) -> nn.Module:
    """The network of a genotype with the weights of a supernet: of each tensor its first channels."""
    network = space.network(genotype, shape).double()
    weights = net.state_dict()
    state = {}
    for name, value in network.state_dict().items():
        if "running" in name or "num_batches" in name:
            state[name] = value
            continue
        source = name
        if name.startswith("stages."):
            _, number, layer, rest = name.split(".", 3)
            picked = genotype[f"{number}/{layer}"][0]
            source = f"stages.{number}.layers.{int(layer) - 1}.candidates.{picked}.{rest}"
        state[name] = weights[source][tuple(slice(size) for size in value.shape)]
    network.load_state_dict(state)
    return network


@pytest.mark.parametrize("options", [{}, {"activation": "relu6", "head": 5}, {"multipliers": (1.0,)}])
def test_one_path_is_the_stand_alone_network_with_the_first_channels_of_the_weights(space, shape, build, options):
    space = attrs.evolve(space, **options)
    net, images = build(space)
    for seed in range(6):
        genotype = space.random(Random(seed))
        network = stand_alone(space, net, genotype, shape)
        taken = net.path_weights(genotype, space.network(genotype, shape))
        assert {name: weight.tolist() for name, weight in taken.items()} == {
            name: weight.tolist() for name, weight in network.named_parameters()
        }
        with net.choices.only(space.encode(genotype, net.choices)):
            outputs = net.outputs(images)
            assert set(net.choices.weights().unique().tolist()) == {0.0, 1.0}
            recalibrate(net, [images, 2 * images])
            evaluated = net.eval()(images)
            net.train()
        expected = network.outputs(images)
        torch.testing.assert_close(outputs.logits, expected.logits, **EXACT)
        for tap, narrow in zip(outputs.taps, expected.taps, strict=True):
            torch.testing.assert_close(tap[:, : narrow.shape[1]], narrow, **EXACT)
            assert not tap[:, narrow.shape[1] :].any()
        recalibrate(network, [images, 2 * images])
        means = {name: value for name, value in network.named_buffers() if name.endswith("running_mean")}
        assert all(value.any() for value in means.values())
        torch.testing.assert_close(evaluated, network.eval()(images), rtol=1e-9, atol=1e-9)


def test_there_are_no_path_weights_for_a_wider_network_or_a_deleted_candidate(space, build, shape):
    net, _ = build(space)
    genotype = space.parse("2s1 conv3 skip | 9s2 ds3 ir3e2 | 4s1 res3 pool")
    wider = attrs.evolve(space, channels=2 * space.channels)
    assert net.path_weights(genotype, space.network(genotype, shape))
    assert not net.path_weights(genotype, wider.network(genotype, shape))
    deleted = torch.zeros_like(net.choices.kept)
    deleted[net.choices.rows["1/2"], net.choices.active_names("1/2").index("ir3e2")] = True
    net.choices.delete(deleted)
    net.prune()
    assert not net.path_weights(genotype, space.network(genotype, shape))


def test_every_path_of_a_tiny_space_is_its_network(build, shape):
    space = Compact(stages=("s2 1x4", "s1 2x4"), multipliers=(0.5, 1.0), operations=("res3", "ir3e2", "skip"))
    net, images = build(space)
    paths = list(space.paths(None).enumerate())
    assert len(paths) == space.paths(None).count == 2 * 2 * 2 * 2 * 3
    for genotype in paths:
        with net.choices.only(space.encode(genotype, net.choices)):
            expected = stand_alone(space, net, genotype, shape)(images)
            torch.testing.assert_close(net(images), expected, **EXACT)
            torch.testing.assert_close(net.whole()([images]), expected, **EXACT)


def test_the_whole_network_as_a_block_is_the_network(space, build):
    net, images = build(space)
    assert torch.equal(net.whole()([images]), net(images))
    assert net.blocks()[0].inputs == net.whole().inputs == ()


def test_blocks_read_and_give_the_widest_maps_whatever_the_other_stages_hold(space, build):
    net, _ = build(space)
    (read,) = net.blocks()[1].inputs
    maps = torch.randn(3, read.channels, read.size, read.size, dtype=torch.float64)
    outputs = []
    for line in ("2s1 ds3 skip | 3s2 ds3 ir3e2 | 4s1 res3 pool", "6s1 pool skip | 3s2 ds3 ir3e2 | 6s1 ds3 ds3"):
        with net.choices.only(space.encode(space.parse(line), net.choices)):
            block = net.blocks()[1]
            outputs.append(block([maps]))
    assert outputs[0].shape[1:] == (block.output.channels, block.output.size, block.output.size)
    assert torch.equal(*outputs)
    assert outputs[0][:, :3].any(0).any(1).any(1).all()
    assert not outputs[0][:, 3:].any()


def test_blocks_in_a_row_are_the_network_at_the_widest_widths(space, build):
    net, images = build(space)
    with net.choices.only(space.encode(space.parse("6s1 ds3 res3 | 9s2 ds3 ir3e2 | 6s1 ir3e4 pool"), net.choices)):
        state = images
        for block, tap in zip(net.blocks(), net.outputs(images).taps, strict=True):
            state = block([state])
            torch.testing.assert_close(state, tap, **EXACT)


def test_blocks_share_nothing_and_hold_all_but_the_head(space, build):
    net, _ = build(attrs.evolve(space, head=3))
    sets = [{id(parameter) for parameter in block.parameters()} for block in net.blocks()]
    rest = {id(parameter) for parameter in (*net.head.parameters(), net.choices.alpha)}
    assert sum(map(len, sets)) + len(rest) == len(set().union(*sets, rest)) == len(list(net.parameters()))
    layers = [layer for block in net.blocks() for layer in block.layers]
    norms = [module for layer in layers for module in layer.module.modules() if isinstance(module, Norm)]
    assert len(norms) == len(set(norms)) == sum(isinstance(module, Norm) for module in net.modules()) - 1
    assert {row for layer in layers for row in layer.rows} == set(range(len(net.choices)))


@attrs.define(eq=False)
class MeanRater(Rater):
    """Rates a block by the mean of its output on noise of the shape that it reads."""

    view: object
    block: int | None

    def inputs(self, batch):
        if not self.view.inputs:
            return (batch.images,)
        (read,) = self.view.inputs
        generator = torch.Generator().manual_seed(1)
        size = (len(batch.images), read.channels, read.size, read.size)
        return (torch.randn(size, generator=generator, dtype=batch.images.dtype),)

    def rate(self, output, batch):
        return output.square().mean() + output.flatten()[0]


@pytest.mark.parametrize("block", [0, 1, None])
def test_paths_rated_along_the_tree_are_rated_as_one_after_the_other(space, build, block):
    net, _ = build(space)
    batches = [Batch(torch.randn(4, 2, 7, 7, dtype=torch.float64), torch.zeros(4, dtype=torch.long)) for _ in range(2)]
    view = net.whole() if block is None else net.blocks()[block]

    def rating():
        return PathRating(net, space, MeanRater(view, block), batches[:1], batches[1:])

    paths = [space.paths(block).sample(Random(seed)) for seed in range(8)]
    paths += [with_last(path, "ds5") for path in paths]
    together = {rated.path: rated.rating for rated in rating().rate(paths)}
    assert len(set(together.values())) > 8
    for path in together:
        (alone,) = rating().rate([path])
        assert together[path] == pytest.approx(alone.rating, rel=1e-9)


def with_last(path: Genotype, operation: str) -> Genotype:
    *picks, (place, _) = path.picks
    return Genotype(path.space, [*picks, (place, (operation,))])


def test_bf16_is_computed_where_autocast_asks_for_it():
    space = Compact(stages=("s1 2x8", "s2 2x8"))
    torch.manual_seed(0)
    net = space.supernet(ImageShape(3, 8, 4))
    images = torch.randn(4, 3, 8, 8)
    exact = net(images)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - exact).norm() < 0.1 * exact.norm()
