"""The graph of a network is captured once, and written as a model that computes the same."""

from __future__ import annotations

import gc
import weakref
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.compact import Compact
from nasplug.builtin.costs.counted import Size
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.deployment.graph import deployed_graph
from nasplug.parts import SearchSpace
from nasplug.testing.toy import Toy
from nasplug.values import ImageShape

SPACES = (
    Darts(channels=2, cells=2, nodes=2),
    Darts(operations=("darts7", "conv_7x1_1x7"), choices="node", channels=3, cells=1, nodes=2, stem="imagenet"),
    NasBench201(channels=2, cells=1),
    Compact(stages=("s1 1x16", "s2 2x24"), operations=("res3", "ds3", "ir3e2", "pool"), channels=4),
    MBConvSpace(blocks=("s1 1x16", "s2 2x24"), channels=4),
    Toy(),
)


def make_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


def test_one_capture_serves_all_measures_until_something_changes() -> None:
    net = make_net()
    first = deployed_graph(net, (2, 8, 8))

    assert deployed_graph(net, (2, 8, 8)) is first
    assert deployed_graph(net, (2, 9, 9)) is not first

    with torch.no_grad():
        net[0].weight.mul_(2)
    images = torch.randn(1, 2, 8, 8)
    torch.testing.assert_close(deployed_graph(net, (2, 8, 8))(images), net(images))

    net[2] = nn.Identity()
    torch.testing.assert_close(deployed_graph(net, (2, 8, 8))(images), net(images))
    net.append(nn.Conv2d(4, 1, 1, bias=False).eval())
    assert Size().cost(net, (2, 8, 8)) == 4 * (2 * 4 * 9 + 4 + 4)


def test_a_capture_does_not_keep_its_network_alive() -> None:
    net = make_net()
    graph = weakref.ref(deployed_graph(net, (2, 8, 8)))
    alive = weakref.ref(net)
    del net
    gc.collect()
    assert alive() is None

    gc.collect()  # the nodes of a graph refer to each other
    assert graph() is None


def test_what_is_computed_from_weights_alone_is_a_weight() -> None:
    class Cropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 2, 5, 5))
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            normed: Tensor = self.norm(nn.functional.conv2d(x, self.weight[:, :, 1:4, 1:4], padding=1))
            return normed

    net, images = Cropped().eval(), torch.randn(1, 2, 3, 3)
    graph = deployed_graph(net, (2, 3, 3))

    assert [str(node.target) for node in graph.graph.nodes if node.op == "call_function"] == ["aten.conv2d.default"]
    torch.testing.assert_close(graph(images), net(images))
    assert Size().cost(net, (2, 3, 3)) == 4 * (3 * 2 * 9 + 3)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_the_model_computes_what_the_network_computes(space: SearchSpace) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from nasplug.deployment.onnx_model import write_onnx

    for seed, size in enumerate((12, 17)):
        torch.manual_seed(seed)
        net = space.network(space.random(Random(seed)), ImageShape(channels=2, size=size, classes=3)).eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        images = torch.randn(1, 2, size, size)
        session = runtime.InferenceSession(write_onnx(deployed_graph(net, (2, size, size))))
        (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})

        expected = net(images).detach().numpy()
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(logits, expected, atol=2e-5, rtol=1e-4)


def test_an_operation_without_translation_is_named() -> None:
    pytest.importorskip("onnx")
    from nasplug.deployment.onnx_model import Untranslated, write_onnx

    class Running(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cumsum(2)

    with pytest.raises(Untranslated, match="cumsum"):
        write_onnx(deployed_graph(Running().eval(), (1, 3, 3)))


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_classifier_takes_raw_images_in_batches_of_any_size(space: SearchSpace) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from nasplug.deployment.onnx_model import write_classifier

    torch.manual_seed(1)
    net = space.network(space.random(Random(1)), ImageShape(channels=3, size=12, classes=4)).eval()
    mean, std = (0.2, 0.5, 0.4), (0.1, 0.3, 0.2)
    model = write_classifier(deployed_graph(net, (3, 12, 12)), mean, std)
    onnx.checker.check_model(model, full_check=True)
    session = runtime.InferenceSession(model.SerializeToString())

    assert (session.get_inputs()[0].name, session.get_inputs()[0].shape) == ("images", ["batch", 3, 12, 12])
    for count in (1, 2, 5):
        images = torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8)
        (probabilities,) = session.run(["probabilities"], {"images": images.numpy()})
        shift, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))
        expected = net((images / 255 - shift) / scale).softmax(1).detach().numpy()
        np.testing.assert_allclose(probabilities, expected, atol=2e-6, rtol=1e-4)


def test_signals_are_centred_before_they_are_rounded() -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from nasplug.deployment.onnx_model import write_classifier

    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).eval()
    model = write_classifier(deployed_graph(net, (1, 1, 64)), [101_325.0], [5.0], dtype="float32")
    signals = 101_325 + 5 * torch.randn(8, 1, 1, 64, generator=torch.Generator().manual_seed(0))
    session = runtime.InferenceSession(model.SerializeToString())
    (probabilities,) = session.run(["probabilities"], {"images": signals.numpy()})
    expected = net((signals - 101_325) / 5).softmax(1).detach().numpy()
    np.testing.assert_allclose(probabilities, expected, atol=2e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_layer_of_compact_is_at_most_three_nodes_beside_those_that_runtimes_fuse(seed: int) -> None:
    pytest.importorskip("onnx")
    from nasplug.deployment.onnx_model import write_classifier

    space = Compact(operations=("all",), activation=("relu", "relu6")[seed % 2], channels=4)
    net = space.network(space.random(Random(seed)), ImageShape(channels=3, size=16, classes=4)).eval()
    model = write_classifier(deployed_graph(net, (3, 16, 16)), (0.5,) * 3, (0.2,) * 3)

    kinds = [node.op_type for node in model.graph.node]
    fused = ("Relu", "Clip", "Add")  # computed with the convolution before them
    layers = [kind for kind in kinds if kind in ("Conv", "AveragePool")]
    assert net.depth > 0
    assert net.depth + 1 <= len(layers) <= 3 * net.depth + 1  # and the stem
    # Else there are the normalisation of images, the mean over the last maps, the classifier and the softmax.
    assert sorted(kind for kind in kinds if kind not in (*fused, "Conv", "AveragePool")) == [
        "Cast",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "Mul",
        "Softmax",
    ]
    assert sum(kind in fused for kind in kinds) <= 3 * net.depth + 2
