from __future__ import annotations

import csv
import os
from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

from nasplug.builtin.nb201 import NasBench201
from nasplug.values import ImageShape

DATA = Path(os.environ.get("NASPLUG_DATA", Path(__file__).parents[4] / "shared" / "data"))
TABLE = DATA / "nasbench201-sample.csv"
SETS = {
    "cifar10": ImageShape(3, 32, 10),
    "cifar100": ImageShape(3, 32, 100),
    "imagenet16": ImageShape(3, 16, 120),
}
KNOWN = [
    ("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
     {"cifar10": (802426, 113951370), "cifar100": (808276, 113957220), "imagenet16": (809576, 28495480)}),
    ("|skip_connect~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|nor_conv_1x1~2|",
     {"cifar10": (129306, 15647370), "cifar100": (135156, 15653220), "imagenet16": (136456, 3919480)}),
    ("|none~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_1x1~2|",
     {"cifar10": (372346, 51036810), "cifar100": (378196, 51042660), "imagenet16": (379496, 12766840)}),
]  # fmt: skip


def macs_run(network, shape):
    """Multiply-accumulates counted by watching every convolution and linear layer compute one image."""
    counted = []

    def count(module, inputs, output):
        counted.append(output.numel() * module.weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
    return sum(counted)


@pytest.mark.parametrize(("text", "known"), KNOWN)
def test_known_architectures_cost_exactly_what_the_benchmark_says(text, known):
    space = NasBench201()
    for name, (params, flops) in known.items():
        cost = space.cost(space.parse(text), SETS[name])
        assert (cost.params, cost.macs + SETS[name].classes) == (params, flops)
        with torch.device("meta"):
            network = space.network(space.parse(text), SETS[name])
        assert sum(parameter.numel() for parameter in network.parameters()) == params


@pytest.mark.skipif(not TABLE.exists(), reason="needs nasbench201-sample.csv in the folder NASPLUG_DATA")
def test_every_architecture_of_the_table_costs_exactly_what_it_says():
    space = NasBench201()
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        genotype = space.parse(row["arch_str"])
        for name, shape in SETS.items():
            cost = space.cost(genotype, shape)
            assert cost.params == int(row[f"{name}_params"])
            assert cost.macs + shape.classes == int(row[f"{name}_flops"])
    assert len(rows) > 1500


@pytest.mark.parametrize("shape", [ImageShape(1, 9, 3), ImageShape(3, 8, 2), ImageShape(1, 1, 2)])
@pytest.mark.parametrize("size", [{"channels": 3, "cells": 2}, {"channels": 1, "cells": 1}])
def test_counted_cost_is_that_of_the_built_network(size, shape):
    space, generator = NasBench201(**size), Random(0)
    for _ in range(3):
        genotype = space.random(generator)
        network, cost = space.network(genotype, shape), space.cost(genotype, shape)
        assert cost.params == sum(parameter.numel() for parameter in network.parameters())
        assert cost.macs == macs_run(network, shape)


def build(text, **options):
    torch.manual_seed(0)
    space = NasBench201(**{"channels": 2, "cells": 1, **options})
    return space.network(space.parse(text), ImageShape(1, 8, 3)), torch.randn(6, 1, 8, 8)


SKIPS = "|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
POOLED = "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|"


def test_a_network_gives_logits_and_a_tap_after_every_stage():
    network, images = build(SKIPS)
    outputs = network.outputs(images)
    assert outputs.logits.shape == (6, 3)
    assert outputs.auxiliary is None
    assert [tap.shape[1:] for tap in outputs.taps] == [(2, 8, 8), (4, 4, 4), (8, 2, 2)]


def test_a_node_is_the_sum_of_its_edges():
    network, images = build(POOLED)
    stem = network.skeleton.stem(images)
    pooled = torch.nn.functional.avg_pool2d(stem, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(network.outputs(images).taps[0], stem + pooled)


def test_cells_without_operations_give_zeros_and_the_network_still_learns():
    network, images = build(NOTHING)
    outputs = network.outputs(images)
    assert not any(tap.any() for tap in outputs.taps)
    outputs.logits.sum().backward()
    assert network.skeleton.classifier.bias.grad.any()


def test_an_operation_that_reads_zeros_still_adds_the_bias_of_its_norm():
    network, images = build("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    cell = network.stages[0][0]
    cell.edges["3<-1"][2].bias.data = torch.tensor([2.0, 3.0])
    tap = network.outputs(images).taps[0]
    assert torch.equal(tap, torch.tensor([2.0, 3.0]).view(1, 2, 1, 1).expand(6, 2, 8, 8))


def test_drop_path_drops_operations_of_whole_samples_but_no_identity_and_only_in_training():
    network, images = build(POOLED)
    network.drop_path = 0.5
    stem = network.skeleton.stem(images)
    pooled = torch.nn.functional.avg_pool2d(stem, 3, 1, 1, count_include_pad=False)
    tap = network.outputs(images).taps[0]
    kept = [bool(torch.allclose(sample, a + 2 * b)) for sample, a, b in zip(tap, stem, pooled, strict=True)]
    dropped = [bool(torch.equal(sample, a)) for sample, a in zip(tap, stem, strict=True)]
    assert any(kept)
    assert any(dropped)
    assert all(is_kept != is_dropped for is_kept, is_dropped in zip(kept, dropped, strict=True))
    network.eval()
    torch.testing.assert_close(network(images), network(images))
    assert torch.equal(network(images[:1]), network(images[:1]))


def test_dropout_zeroes_inputs_of_the_classifier_in_training_only():
    network, images = build(SKIPS, channels=8)
    seen = []
    network.skeleton.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(images)
    network.dropout = 0.5
    network(images)
    full, halved = seen
    assert 0.2 < ((halved == 0) & (full != 0)).float().mean() < 0.8
    torch.testing.assert_close(halved[halved != 0], 2 * full[halved != 0])
    network.eval()
    assert torch.equal(network(images), network(images))
