from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.genotype import read_genotype
from nasplug.builtin.darts.layout import required_cells
from nasplug.values import Genotype, ImageShape

NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}


def per_cell(*cells):
    """A per-cell genotype of one node per cell."""
    return Genotype("darts", {f"{number}/2": picks for number, picks in enumerate(cells)})


@pytest.mark.parametrize("size", [8, 9, 32, 64])
@pytest.mark.parametrize("cells", [1, 2, 5])
def test_networks_give_logits_taps_and_auxiliary_logits_in_training_only(cells, size):
    space, shape = Darts(cells=cells, channels=4), ImageShape(1, size, 3)
    network = space.network(space.random(Random(0)), shape, auxiliary=True)
    images = torch.randn(2, 1, size, size)
    outputs = network.outputs(images)
    assert outputs.logits.shape == outputs.auxiliary.shape == (2, 3)
    assert [tap.shape[1] for tap in outputs.taps] == {1: [16], 2: [16, 32], 5: [16, 32, 64]}[cells]
    assert network.eval().outputs(images).auxiliary is None


@pytest.mark.parametrize(
    ("head", "stem", "size", "stride", "norms"),
    [
        ("darts", "cifar", 32, 3, 2),
        ("darts", "imagenet", 224, 2, 1),
        ("nadd", "cifar", 32, 2, 2),
        ("nadd", "imagenet", 224, 2, 2),
    ],
)
def test_auxiliary_heads_are_the_published_ones_on_the_published_maps(head, stem, size, stride, norms):
    space = Darts(cells=3, channels=4, stem=stem, auxiliary_head=head)
    network = space.network(space.random(Random(0)), ImageShape(3, size, 10), auxiliary=True)
    torch.manual_seed(0)
    side = 8 if stem == "cifar" else 7
    x = torch.randn(2, network.auxiliary[2].in_channels, side, side)
    corners = range(0, 2 * stride, stride)
    pooled = torch.stack([x.relu()[:, :, i : i + 5, j : j + 5].mean((2, 3)) for i in corners for j in corners], 2)
    first, *others = [module for module in network.auxiliary if isinstance(module, nn.BatchNorm2d)]
    assert [first.num_features, *(other.num_features for other in others)] == [128, 768][:norms]
    squeeze, expand = (module for module in network.auxiliary if isinstance(module, nn.Conv2d))
    y = first(torch.einsum("oc,ncp->nop", squeeze.weight[:, :, 0, 0], pooled).unflatten(2, (2, 2))).relu()
    y = torch.einsum("ocij,ncij->no", expand.weight, y)[:, :, None, None]
    for norm in others:
        y = norm(y)
    torch.testing.assert_close(network.auxiliary(x), network.auxiliary[-1](y.relu().flatten(1)), rtol=1e-4, atol=1e-5)


def test_a_node_of_a_network_is_the_plain_sum_of_its_candidates():
    space = Darts(**NADD, cells=1, channels=4, nodes=1)
    network = space.network(per_cell(("sep_conv_3x3@0", "skip_connect@0", "skip_connect@1")), ImageShape(1, 8, 3))
    network.eval()
    images = torch.randn(2, 1, 8, 8)
    cell, stem = network.cells["0"], network.stem(images)[0]
    older, newer = cell.preprocess["0"](stem), cell.preprocess["1"](stem)
    expected = cell.operations["sep_conv_3x3@0>2"](older) + older + newer
    torch.testing.assert_close(network.outputs(images).taps[0], expected)


def test_drop_path_spares_identities_and_works_in_training_only():
    shape, images = ImageShape(1, 8, 3), torch.randn(64, 1, 8, 8)
    space = Darts(**NADD, cells=1, channels=4, nodes=1)
    identities = space.network(per_cell(("skip_connect@0", "skip_connect@1")), shape)
    steady = identities(images)
    identities.drop_path = 0.9
    torch.testing.assert_close(identities(images), steady)
    convolution = space.network(per_cell(("sep_conv_3x3@0",)), shape)
    kept = convolution.outputs(images).taps[0]
    convolution.drop_path = 0.5
    dropped = convolution.outputs(images).taps[0]
    empty = dropped.flatten(1).abs().sum(1) == 0
    assert 10 < int(empty.sum()) < 54
    torch.testing.assert_close(dropped[~empty], kept[~empty] * 2)
    evaluated = convolution.eval()(images)
    convolution.drop_path = 0.0
    torch.testing.assert_close(convolution(images), evaluated)


def test_dropout_zeroes_inputs_of_the_classifier_in_training_only():
    space = Darts(cells=1, channels=4)
    network = space.network(space.random(Random(0)), ImageShape(1, 8, 3))
    inputs_of_classifier = []
    network.classifier.register_forward_hook(lambda module, inputs, output: inputs_of_classifier.append(inputs[0]))
    images = torch.randn(256, 1, 8, 8)
    network(images)
    network.dropout = 0.25
    torch.manual_seed(0)
    network(images)
    steady, dropped = inputs_of_classifier
    empty = (dropped == 0) & (steady != 0)
    assert float(empty.float().mean()) == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(dropped[~empty], steady[~empty] / 0.75)
    network.eval()
    evaluated = network(images)
    network.dropout = 0.0
    torch.testing.assert_close(network(images), evaluated)


def test_cells_that_no_cell_reads_are_not_built_but_reductions_always_are():
    newer, older = ("skip_connect@1",), ("skip_connect@0",)
    cells = [newer, newer, newer, older, newer, newer, newer, older]
    genotype = per_cell(*cells)
    # No cell reads cells 2 and 6, and only cell 2 is a reduction.
    assert required_cells(list(read_genotype(genotype).values())) == {0, 1, 2, 3, 4, 5, 7}
    space = Darts(**NADD, cells=8, channels=4, nodes=1)
    network = space.network(genotype, ImageShape(1, 16, 3))
    assert list(network.cells) == ["0", "1", "2", "3", "4", "5", "7"]
    outputs = network.outputs(torch.randn(2, 1, 16, 16))
    assert [tap.shape[1:] for tap in outputs.taps] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_the_tap_of_a_cell_that_is_not_built_is_the_output_before_it():
    newer, older = ("skip_connect@1",), ("skip_connect@0",)
    space = Darts(**NADD, cells=6, channels=4, nodes=1)
    # Reductions are cells 2 and 4. Cell 1 is read by neither cell 2 nor cell 3.
    network = space.network(per_cell(newer, newer, older, newer, newer, newer), ImageShape(1, 16, 3))
    assert list(network.cells) == ["0", "2", "3", "4", "5"]
    assert network.outputs(torch.randn(2, 1, 16, 16)).taps[0].shape == (2, 4, 16, 16)
