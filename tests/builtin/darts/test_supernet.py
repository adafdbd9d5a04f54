from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.genotype import OPERATIONS
from nasplug.values import ImageShape

SPACES = {
    "edge per-type, all ten": {"operations": OPERATIONS, "cells": 3},
    "edge per-cell": {"operations": ("darts",), "topology": "per-cell", "cells": 4, "nodes": 3},
    "node per-cell": {"operations": ("nadd3",), "choices": "node", "topology": "per-cell", "cells": 3},
    "node per-type, all nine": {"operations": OPERATIONS[1:], "choices": "node", "cells": 5, "nodes": 2},
}


def build(options, size=8, channels=1, dtype=torch.float64):
    torch.manual_seed(0)
    net = Darts(channels=4, **options).supernet(ImageShape(channels, size, 5)).to(dtype)
    with torch.no_grad():
        net.choices.alpha.normal_()
    return net, torch.randn(4, channels, size, size, dtype=dtype), torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("options", SPACES.values(), ids=SPACES)
def test_loss_and_all_gradients_are_those_of_the_plain_supernet_before_and_after_deletions(options, size, assert_same):
    net, images, labels = build(options, size)
    assert_same(net, images, labels)
    deleted = torch.rand(net.choices.kept.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    assert net.choices.delete(deleted) > 5
    before = net(images)
    modules = len(list(net.modules()))
    assert_same(net, images, labels)
    net.prune()
    assert len(list(net.modules())) < modules
    assert torch.equal(net(images), before)
    assert_same(net, images, labels)


def test_float32_is_close_to_the_plain_supernet(assert_same):
    net, images, labels = build(SPACES["edge per-type, all ten"], dtype=torch.float32)
    assert_same(net, images, labels, rtol=2e-3, atol=2e-4)


def test_the_imagenet_stem_feeds_maps_of_two_sizes():
    net, images, _ = build({"operations": ("nadd3",), "cells": 3}, size=64, channels=3)
    older, newer = net.stem(images)
    assert older.shape == (4, 4, 16, 16)
    assert newer.shape == (4, 4, 8, 8)
    assert [tap.shape[1:] for tap in net.outputs(images).taps] == [(16, 8, 8), (32, 4, 4), (64, 2, 2)]


def test_a_temporary_mask_counts_only_its_candidates_and_prune_ignores_it(assert_same):
    net, images, labels = build(SPACES["node per-cell"])
    mask = torch.zeros_like(net.choices.kept)
    mask[:, 1:4] = True
    full = net(images)
    with net.choices.only(mask):
        assert_same(net, images, labels)
        assert not torch.allclose(net(images), full)
        net.prune()
    assert torch.equal(net(images), full)


def test_a_cell_whose_edges_keep_nothing_but_none_gives_zeros():
    net, images, _ = build({"operations": ("none", "sep_conv_3x3"), "cells": 2, "nodes": 2})
    deleted = torch.zeros_like(net.choices.kept)
    deleted[[row for name, row in net.choices.rows.items() if name.startswith("reduce/3")], 1] = True
    assert net.choices.delete(deleted) == 3
    torch.testing.assert_close(net.outputs(images).taps[-1][:, 8:], torch.zeros(4, 8, 4, 4, dtype=torch.float64))


def test_candidates_per_cell_are_those_of_nadd():
    net, _, _ = build(SPACES["node per-cell"])
    assert net.choices.active_count == 3 * 42
    assert [len(choice.candidates) for choice in net.choices][:4] == [6, 9, 12, 15]
    weights = net.choices.weights()
    torch.testing.assert_close(weights.sum(1), torch.ones(12, dtype=torch.float64))


def test_choices_by_edge_are_the_fourteen_edges_of_each_type():
    net, _, _ = build({"operations": ("darts",), "cells": 3})
    names = [choice.name for choice in net.choices]
    assert len(names) == 28
    assert names[:3] == ["normal/2<-0", "normal/2<-1", "normal/3<-0"]
    assert net.choices.choices[0].candidates[0] == "none"


def test_evaluation_uses_batch_statistics_until_recalibrated_then_the_measured_ones():
    net, images, _ = build(SPACES["edge per-type, all ten"])
    trained = net(images)
    net.eval()
    assert torch.equal(net(images), trained)
    net.recalibrate([images])
    assert not net.training
    alone = net(images[:1])
    # One batch measured is that batch's mean and unbiased variance, so all but the variance's bias is reproduced.
    pixels = 4 * 2 * 2
    torch.testing.assert_close(net(images)[:1], alone)
    assert not torch.equal(net(images), trained)
    assert (net(images) - trained).abs().max() < 20 / pixels
    assert not any("mean" in name for name in net.state_dict())


def test_a_copy_is_independent_and_computes_the_same():
    net, images, _ = build(SPACES["node per-cell"])
    before = net(images)
    copied = copy.deepcopy(net)
    assert torch.equal(copied(images), before)
    copied.choices.delete(torch.rand(copied.choices.kept.shape) < 0.9)
    copied.prune()
    assert torch.equal(net(images), before)


def test_a_deleted_candidate_is_not_computed(monkeypatch):
    net, images, _ = build(SPACES["node per-cell"])
    keep = torch.zeros_like(net.choices.kept)
    for row, choice in enumerate(net.choices):
        keep[row, choice.candidates.index("skip_connect@1")] = True
    net.choices.delete(~keep)

    def refuse(*_, **__):
        raise AssertionError("a depthwise convolution ran")

    monkeypatch.setattr("nasplug.builtin.darts.candidates.separable", refuse)
    assert net(images).shape == (4, 5)


def test_supernet_learns_in_bf16_autocast():
    net, images, labels = build(SPACES["edge per-type, all ten"], dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(net(images), labels)
    loss.backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())
    assert net.choices.alpha.grad.abs().sum() > 0
