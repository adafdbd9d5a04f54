"""Stand-alone networks go through the programs that make graphs of modules."""

from __future__ import annotations

import copy
from random import Random

import pytest
import torch

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.references.ds_cnn import DSCNN
from nasplug.builtin.references.mobilenet import MobileNetV2
from nasplug.builtin.references.residual import ResNet8
from nasplug.parts import ReferenceNetwork
from nasplug.values import ImageShape

NETWORKS = {
    "compact": (Compact(operations=("all",), activation="relu6", head=5), 16),
    "compact, odd sizes": (Compact(channels=4), 9),
    "darts": (Darts(cells=3, nodes=2, channels=2), 8),
    "darts, odd sizes": (Darts(cells=3, nodes=2, channels=2), 9),
    "darts, stem for ImageNet": (Darts(cells=3, nodes=2, channels=2, stem="imagenet"), 32),
    "mbconv": (MBConvSpace(), 16),
    "nb201": (NasBench201(channels=2, cells=1), 8),
    "resnet8": (ResNet8(width=0.25), 9),
    "ds-cnn": (DSCNN(width=0.1), 16),
    "mobilenetv2": (MobileNetV2(width=0.1), 8),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    space, size = NETWORKS[request.param]
    torch.manual_seed(0)
    shape = ImageShape(3, size, 4)
    net = space.network(shape) if isinstance(space, ReferenceNetwork) else space.network(space.random(Random(1)), shape)
    x = torch.randn(3, 3, size, size)
    net.train()(x)
    return net.eval(), x


def test_torch_fx_records_the_same_function_and_its_gradients(network):
    net, x = network
    traced = torch.fx.symbolic_trace(net)
    torch.testing.assert_close(traced(x), net(x))
    for training in (False, True):
        double = copy.deepcopy(net).double().train(training)
        traced = torch.fx.symbolic_trace(copy.deepcopy(double))
        expected = torch.autograd.grad(double(x.double()).square().sum(), list(double.parameters()))
        gradients = torch.autograd.grad(traced(x.double()).square().sum(), list(traced.parameters()))
        named = dict(zip((name for name, _ in double.named_parameters()), expected, strict=True))
        for (name, _), gradient in zip(traced.named_parameters(), gradients, strict=True):
            torch.testing.assert_close(gradient, named[name])


def test_graphs_of_torch_fx_hold_operations_of_torch_alone(network):
    traced = torch.fx.symbolic_trace(network[0])
    functions = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert not [function for function in functions if "nasplug" in str(getattr(function, "__module__", ""))]


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_torch_compile_needs_no_break_in_the_graph(network):
    net, x = network
    with torch.no_grad():
        compiled = torch.compile(net, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), net(x))
    torch.compiler.reset()
