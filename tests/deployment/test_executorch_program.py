"""Programs of ExecuTorch answer like the network, in float exactly and in 8 bits for nearly all images."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, fx, nn

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.deployment.executorch_program import RawImages, _drop_unread, load_program, write_program
from nasplug.deployment.graph import deployed_graph
from nasplug.parts import SearchSpace
from nasplug.values import ImageShape

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
]  # importing ExecuTorch alone takes 10 s

pytest.importorskip("executorch")

SHAPE = (3, 12, 12)
METADATA = {"classes": '["ä", "b"]', "text": "a\n'b'\""}
COMPACT = Compact(stages=("s1 1x16", "s2 2x24"), operations=("res3", "ds3", "ir3e2", "pool"), channels=4)
OTHERS = (
    Darts(channels=2, cells=2, nodes=2),
    Darts(operations=("darts7", "conv_7x1_1x7"), choices="node", channels=3, cells=1, nodes=2, stem="imagenet"),
    NasBench201(channels=2, cells=1),
    MBConvSpace(blocks=("s1 1x16", "s2 2x24"), channels=4),
)


def make_images(count: int) -> Tensor:
    """Of few frequencies, so that networks answer differently to them."""
    generator = torch.Generator().manual_seed(count)
    waves = torch.rand(count, 3, 3, 3, generator=generator) * 255
    return nn.functional.interpolate(waves, SHAPE[1:], mode="bilinear").to(torch.uint8)


def make_raw_network(space: SearchSpace) -> tuple[nn.Module, RawImages]:
    """A network with weights of a network that was trained, as far as its batch norms go, and the same of raw images.

    Its classifier is scaled until the answers to images differ clearly.
    """
    torch.manual_seed(0)
    net = space.network(space.random(Random(0)), ImageShape(channels=3, size=12, classes=4))
    images = make_images(64)
    mean, std = torch.tensor((0.2, 0.5, 0.4))[:, None, None], torch.tensor((0.1, 0.3, 0.2))[:, None, None]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics are those of all images
    with torch.no_grad():
        net.train()((images / 255 - mean) / std)
        logits = net.eval()((images / 255 - mean) / std)
        last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
        scale = 3 / logits.std(0).mean()
        last.weight *= scale
        last.bias.sub_(logits.mean(0)).mul_(scale)
    return net, RawImages(deployed_graph(net, SHAPE), (0.2, 0.5, 0.4), (0.1, 0.3, 0.2))


def check_program(space: SearchSpace, *, int8: bool) -> None:
    net, raw = make_raw_network(space)
    mean, std = torch.tensor((0.2, 0.5, 0.4))[:, None, None], torch.tensor((0.1, 0.3, 0.2))[:, None, None]
    images = make_images(50)
    expected = net((images / 255 - mean) / std).softmax(1).detach()
    assert len(set(expected.argmax(1).tolist())) > 1

    predict, metadata = load_program(write_program(raw, SHAPE, METADATA, make_images(64) if int8 else None))
    answers = predict(images)

    assert metadata == METADATA
    if int8:
        assert int((answers.argmax(1) == expected.argmax(1)).sum()) >= 45
        assert float((answers - expected).abs().max()) > 1e-4  # it has 8 bits indeed
    else:
        torch.testing.assert_close(answers, expected, rtol=0, atol=1e-4)
    assert torch.equal(predict(images[:1]), answers[:1])


def test_a_program_of_8_bits_agrees_for_nearly_all_images(capfd) -> None:
    check_program(COMPACT, int8=True)
    assert capfd.readouterr() == ("", "")


def test_weights_that_no_operation_reads_stay_out_of_a_program() -> None:
    root = nn.Module()
    root.inner = nn.Linear(2, 3)
    root.register_buffer("left", torch.zeros(5))
    graph = fx.Graph()
    graph.output(graph.get_attr("inner.weight"))
    kept = _drop_unread(fx.GraphModule(root, graph)).state_dict()
    assert kept.keys() == {"inner.weight"}


@pytest.mark.slow
@pytest.mark.parametrize("space", [COMPACT, *OTHERS], ids=str)
def test_a_program_answers_like_the_network(space: SearchSpace) -> None:
    check_program(space, int8=False)


@pytest.mark.full
@pytest.mark.parametrize("space", OTHERS, ids=str)
def test_a_program_of_8_bits_agrees_in_every_space(space: SearchSpace) -> None:
    check_program(space, int8=True)
