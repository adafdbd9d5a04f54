from __future__ import annotations

from random import Random

import attrs
import pytest
import torch
import torch.nn.functional as F

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv.network import MBConv
from nasplug.supernets import Norm
from nasplug.values import Genotype
from tests.builtin.mixtures import EXACT, assert_same_outputs, gradients


def assert_same(net, images, plain):
    """Logits, taps and gradients are those of the plain supernet; returns the gradients by name."""
    return assert_same_outputs(net, net.outputs(images), *plain(net, images))


def test_the_mixture_its_taps_and_all_gradients_are_the_explicit_sums(build, plain):
    net, images = build()
    expected = assert_same(net, images, plain)
    assert expected["choices.alpha"].any(1).all()


def test_weights_need_not_add_up_to_one(build, plain):
    net, images = build()
    net.choices.relaxation = lambda alpha, active: alpha.sigmoid() * active
    assert_same(net, images, plain)


def test_deleted_candidates_and_cells_are_gone_and_pruning_changes_nothing(build, plain):
    net, images = build()
    deleted = torch.rand(net.choices.kept.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    deleted[net.choices.rows["1/cell"]] = torch.tensor([True, False, False, False])
    net.choices.delete(deleted)
    assert_same(net, images, plain)
    before, size = net(images), sum(parameter.numel() for parameter in net.parameters())
    net.prune()
    net.prune()
    assert torch.equal(net(images), before)
    assert sum(parameter.numel() for parameter in net.parameters()) < 0.7 * size
    kept = {
        f"{choice.name}/{candidate}"
        for choice in net.choices
        for candidate in net.choices.active_names(choice.name)
        if choice.parent is None or choice.parent[1] in net.choices.active_names(choice.parent[0])
    }
    assert operations_left(net) == {name for name in kept if "cell" not in name}


def operations_left(net):
    """Block, cell, layer and operation of every candidate that has a module."""
    names = set()
    for name, module in net.body.named_modules():
        if isinstance(module, MBConv):
            block, _, step, cell, _, operation = name.split(".")
            names.add(f"{block}/{cell}/{int(step) + 1}/{operation}")
    return names


def test_one_path_is_the_chain_of_its_layers_and_the_stand_alone_network(build, shape, plain_network):
    space = MBConvSpace(blocks=("s1 1x4 2x4", "s2 2x6 1x6"), expansions=(2, 3), head=8, match="plain")
    supernet, images = build(space)
    for seed in range(4):
        genotype = space.random(Random(seed))
        network = space.network(genotype, shape).double()
        weights = supernet.state_dict()
        state = {name: value for name, value in weights.items() if name.startswith(("stem.", "head."))}
        for block in (0, 1):
            cell = genotype[f"{block}/cell"][0]
            for layer in range(int(cell[0])):
                prefix = f"body.{block}.steps.{layer}.{cell}.candidates.{genotype[f'{block}/{layer + 1}'][0]}."
                own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
                assert own, prefix
                state |= {f"blocks.{block}.{layer}.{name}": value for name, value in own.items()}
        missing = network.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys
        taken = supernet.path_weights(genotype, space.network(genotype, shape))
        assert {name: weight.tolist() for name, weight in taken.items()} == {
            name: weight.tolist() for name, weight in network.named_parameters()
        }
        wider = attrs.evolve(space, channels=2 * space.channels)
        assert not supernet.path_weights(genotype, wider.network(genotype, shape))
        assert all("running" in name or "num_batches" in name for name in missing.missing_keys)
        with supernet.choices.only(space.encode(genotype, supernet.choices)):
            logits = supernet(images)
            assert set(supernet.choices.weights().unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(logits, plain_network(network, images, (1, 2)), **EXACT)
        torch.testing.assert_close(logits, network.train()(images), **EXACT)


def test_only_what_counts_is_computed(build, space):
    net, images = build()
    genotype = space.random(Random(1))
    with net.choices.only(space.encode(genotype, net.choices)):
        reached = set(gradients(net, net(images)))
    candidates = {name.split(".candidates.")[0] + "/" + name.split(".")[6] for name in reached if "candidates" in name}
    assert len(candidates) == sum("cell" not in place for place in genotype.places)


def test_blocks_in_a_row_are_the_network_and_have_the_shapes_that_they_say(build):
    net, images = build()
    state, taps = [images], net.outputs(images).taps
    for number, (block, tap) in enumerate(zip(net.blocks(), taps, strict=True)):
        if number:
            (read,) = block.inputs
            assert state[0].shape[1:] == (read.channels, read.size, read.size)
        state = [block(state)]
        assert state[0].shape[1:] == (block.output.channels, block.output.size, block.output.size)
        assert torch.equal(state[0], tap)
    assert torch.equal(net.whole()([images]), net(images))
    assert net.blocks()[0].inputs == net.whole().inputs == ()


def test_blocks_share_nothing_and_hold_all_but_the_head(build):
    net, _ = build()
    sets = [{id(parameter) for parameter in block.parameters()} for block in net.blocks()]
    rest = {id(parameter) for parameter in (*net.head.parameters(), net.choices.alpha)}
    assert sum(map(len, sets)) + len(rest) == len(set().union(*sets, rest)) == len(list(net.parameters()))
    layers = [layer for block in net.blocks() for layer in block.layers]
    norms = [module for layer in layers for module in layer.module.modules() if isinstance(module, Norm)]
    assert len(norms) == len(set(norms)) == sum(isinstance(module, Norm) for module in net.body.modules())
    rows = [row for layer in layers for row in layer.rows]
    assert sorted(rows) == list(range(len(net.choices)))


@pytest.mark.parametrize("whole", [False, True])
def test_paths_share_the_layers_whose_rows_agree_and_pay_nothing_for_layers_that_they_lack(build, space, whole):
    """All paths of a block depth-first, each prefix computed once, against one path after the other."""
    net, images = build()
    block = net.whole() if whole else net.blocks()[1]
    paths = [space.random(Random(seed)) for seed in range(12)] if whole else list(space.paths(1).enumerate())[::11]
    inputs = [images] if whole else [net.outputs(images).taps[0].detach()]
    entered, known, computed, free = block.enter(inputs), {}, 0, 0
    for path in paths:
        mask = space.encode(path, net.choices)
        with torch.no_grad(), net.choices.only(mask):
            state, key = entered, ()
            for layer in block.layers:
                picked = mask[list(layer.rows)]
                if not picked.any():
                    assert layer.compute(state) == state
                    free += 1
                    continue
                key = (*key, picked.numpy().tobytes())
                if key not in known:
                    computed += 1
                    known[key] = layer.compute(state)
                state = known[key]
            assert torch.equal(block.leave(state), block(inputs))
    assert free > 0
    assert computed < sum(len(path.places) - 1 for path in paths)


def test_a_path_reaches_the_layers_of_its_length(build, space):
    net, _ = build()
    path = Genotype("mbconv", {"1/cell": ["1x6s2"], "1/1": ["k3e2"]})
    mask, block = space.encode(path, net.choices), net.blocks()[1]
    assert [bool(mask[list(layer.rows)].any()) for layer in block.layers] == [True, False, False]


@pytest.mark.parametrize(("match", "widths"), [("doubled", (8, 12, 8)), ("plain", (4, 6, 4))])
def test_all_cells_of_a_block_end_in_the_width_of_the_first_doubled_or_plain(space, shape, match, widths):
    space = MBConvSpace(blocks=space.blocks, expansions=(2,), kernels=(3,), match=match)
    outputs = [block.output for block in space.supernet(shape).blocks()]
    assert [(output.channels, output.size) for output in outputs] == list(zip(widths, (8, 4, 2), strict=True))


def test_evaluation_uses_measured_statistics_of_what_counts(build, space):
    net, images = build()
    mask = space.encode(space.random(Random(0)), net.choices)
    with net.choices.only(mask), torch.no_grad():
        trained = net(images)
        net.eval()
        # Measured variances are unbiased, those of a batch are not: the more pixels, the closer they are.
        net.recalibrate([torch.cat([images] * 64)])
        torch.testing.assert_close(net(images), trained, rtol=0.01, atol=0.01)
        alone = net(images[:1])
        net.train()
        assert not torch.allclose(alone, net(images[:1]))
        net.eval()
        assert torch.allclose(alone, net(images)[:1])


def test_dropout_is_before_the_classifier_and_only_in_training(build):
    net, images = build()
    net.dropout = 1.0
    torch.testing.assert_close(net(images), net.head.classifier.bias.expand(4, 3))
    net.eval()
    assert not torch.allclose(net(images), net.head.classifier.bias.expand(4, 3))


def test_a_training_step_in_bfloat16_reaches_alpha(space, shape):
    net = space.supernet(shape)
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(net(torch.randn(4, 1, 8, 8)).float(), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert net.choices.alpha.grad.isfinite().all()
    assert net.choices.alpha.grad.any()
