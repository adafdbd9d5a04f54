from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.nb201.genotype import OPERATIONS
from nasplug.supernets import Norm, batch_norm, recalibrate
from nasplug.values import ImageShape

ROWS = ("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2")


def build(size=8, dtype=torch.float64, cells=2, operations=OPERATIONS):
    torch.manual_seed(0)
    space = NasBench201(channels=3, cells=cells, operations=operations)
    net = space.supernet(ImageShape(1, size, 5)).to(dtype)
    with torch.no_grad():
        net.choices.alpha.normal_()
        for module in net.modules():
            if isinstance(module, Norm) and module.bias is not None:
                module.weight.normal_()
                module.bias.normal_()
    return net, torch.randn(4, 1, size, size, dtype=dtype), torch.tensor([0, 1, 2, 3])


def masked(net, allowed):
    """A mask that keeps the named candidates of the named edges, and everything on the others."""
    mask = net.choices.valid_mask.clone()
    for place, names in allowed.items():
        row = net.choices.rows[place]
        mask[row] = torch.tensor([name in names for name in net.choices.choices[row].candidates])
    return mask


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("seed", range(4))
def test_loss_and_all_gradients_are_those_of_the_plain_supernet_before_and_after_deletions(size, seed, assert_same):
    net, images, labels = build(size)
    assert_same(net, images, labels, least=60)
    deleted = torch.rand(net.choices.kept.shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    assert net.choices.delete(deleted) > 8
    before, modules = net(images), len(list(net.modules()))
    assert_same(net, images, labels)
    net.prune()
    assert len(list(net.modules())) < modules
    assert torch.equal(net(images), before)
    assert_same(net, images, labels)


DEAD = {
    "nothing reaches node 1": {"1<-0": ("none",)},
    "nothing reaches node 2": {"2<-0": ("none",), "2<-1": ("none",)},
    "node 1 does not reach the output": {"2<-1": ("none",), "3<-1": ("none",)},
    "node 2 does not reach the output": {"3<-2": ("none",)},
    "one path only": {"1<-0": ("none",), "3<-0": ("none",), "2<-0": ("nor_conv_3x3",), "3<-2": ("avg_pool_3x3",)},
    "edges of one operation": {place: (name,) for place, name in zip(ROWS, (*OPERATIONS, "nor_conv_1x1"), strict=True)},
}


@pytest.mark.parametrize("allowed", DEAD.values(), ids=DEAD)
def test_a_temporary_mask_counts_only_its_candidates_and_prune_ignores_it(allowed, assert_same):
    net, images, labels = build()
    full = net(images)
    with net.choices.only(masked(net, allowed)):
        assert_same(net, images, labels)
        assert not torch.allclose(net(images), full)
        net.prune()
    assert torch.equal(net(images), full)


def test_a_cell_that_nothing_leaves_gives_zeros_and_the_network_still_learns(assert_same):
    net, images, labels = build()
    none = dict.fromkeys(("3<-0", "3<-1", "3<-2"), ("none",))
    with net.choices.only(masked(net, none)):
        assert_same(net, images, labels, least=1)
        outputs = net.outputs(images)
        assert not any(tap.any() for tap in outputs.taps)
        outputs.logits.sum().backward()
    assert net.skeleton.classifier.bias.grad.any()


@pytest.mark.parametrize(
    ("allowed", "computed"),
    [
        (dict.fromkeys(ROWS, ("skip_connect", "avg_pool_3x3", "none")), []),
        ({"3<-0": ("none",), "3<-1": ("none",), "3<-2": ("none",)}, []),
        (dict.fromkeys(ROWS, ("nor_conv_3x3",)), [3, 2, 1]),
        ({**dict.fromkeys(ROWS, ("nor_conv_1x1",)), "2<-1": ("none",), "3<-1": ("none",)}, [2, 1]),
        ({**dict.fromkeys(ROWS, ("nor_conv_1x1", "none")), "1<-0": ("none",)}, [2, 1]),
    ],
)
def test_what_cannot_matter_is_not_computed_and_what_leaves_one_node_is_computed_at_once(
    allowed, computed, monkeypatch
):
    net, images, _ = build(cells=1)
    counted = []

    def normalise(x, norms, weight):
        counted.append(len(norms))
        return batch_norm(x, norms, weight)

    monkeypatch.setattr("nasplug.builtin.nb201.supernet.batch_norm", normalise)
    with net.choices.only(masked(net, allowed)):
        net(images)
    assert counted == 3 * computed


def test_float32_is_close_to_the_plain_supernet(assert_same):
    net, images, labels = build(dtype=torch.float32)
    assert_same(net, images, labels, rtol=2e-3, atol=2e-4)


def test_taps_are_the_three_stages_and_blocks_lie_between_them():
    net, images, _ = build()
    taps, blocks = net.outputs(images).taps, net.blocks()
    assert [tap.shape[1:] for tap in taps] == [(3, 8, 8), (6, 4, 4), (12, 2, 2)]
    for block, tap, before in zip(blocks, taps, (images, *taps), strict=False):
        torch.testing.assert_close(block((before,)), tap)
        assert (block.output.channels, block.output.size) == tuple(tap.shape[1:3])
    assert [block.inputs for block in blocks] == [(), (blocks[0].output,), (blocks[1].output,)]
    owned = [id(parameter) for block in blocks for parameter in block.parameters()]
    assert len(owned) == len(set(owned))
    rest = {name for name, parameter in net.named_parameters() if id(parameter) not in owned}
    assert {name.split(".")[-2] for name in rest} == {"choices", "norm", "classifier"}
    torch.testing.assert_close(net.whole()((images,)), net(images))


def test_norms_of_cells_have_no_parameters_and_those_around_them_have():
    net, _, _ = build()
    affine = {name for name, module in net.named_modules() if isinstance(module, Norm) and module.weight is not None}
    assert all(name.startswith("skeleton") for name in affine)
    assert len(affine) == 6


def test_evaluation_uses_the_statistics_measured_last():
    net, images, _ = build()
    trained = net(images)
    net.eval()
    assert torch.equal(net(images), trained)
    recalibrate(net, [images])
    assert not torch.equal(net(images), trained)
    torch.testing.assert_close(net(images)[:1], net(images[:1]))


def test_a_copy_is_independent_and_computes_the_same():
    net, images, _ = build()
    before = net(images)
    copied = copy.deepcopy(net)
    assert torch.equal(copied(images), before)
    copied.choices.delete(torch.rand(copied.choices.kept.shape) < 0.9)
    copied.prune()
    assert torch.equal(net(images), before)


def test_supernet_learns_in_bf16_autocast():
    net, images, labels = build(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = net.outputs(images)
        loss = F.cross_entropy(outputs.logits, labels)
    assert {tap.dtype for tap in outputs.taps} == {torch.bfloat16}
    loss.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())
    assert net.choices.alpha.grad.abs().sum() > 0
