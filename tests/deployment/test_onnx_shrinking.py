"""A model with fewer bytes computes the same, bit by bit."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.deployment.graph import deployed_graph
from nasplug.parts import SearchSpace
from nasplug.values import ImageShape

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from nasplug.deployment import onnx_shrinking, quantisation  # noqa: E402 - they need onnx
from nasplug.deployment.onnx_model import write_classifier, write_onnx  # noqa: E402
from nasplug.deployment.onnx_shrinking import DEFAULTS, drop_unread, shrink  # noqa: E402

helper = onnx.helper

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 1, 12, 12), dtype=np.uint8)
SPACES = (
    Darts(channels=4, cells=2, nodes=2),
    NasBench201(channels=4, cells=1),
    Compact(stages=("s1 1x16", "s2 2x24"), operations=("res3", "ds3", "ir3e2", "pool"), channels=4),
    MBConvSpace(blocks=("s1 1x16", "s2 2x24"), channels=4),
)


def write_random(space: SearchSpace) -> onnx.ModelProto:
    """The model of a random network whose norms were measured."""
    torch.manual_seed(0)
    net = space.network(space.random(Random(0)), ImageShape(channels=1, size=12, classes=10)).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.from_numpy(IMAGES) / 255)
    return write_classifier(deployed_graph(net.eval(), (1, 12, 12)), [0.3], [0.4])


def run(model: onnx.ModelProto) -> Tensor:
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {session.get_inputs()[0].name: IMAGES})
    return torch.from_numpy(answers)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_answers_in_32_and_in_8_bits_stay_as_they_are(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_random(space)
    small = onnx.ModelProto.FromString(whole.SerializeToString())
    shrink(small)
    onnx.checker.check_model(small, full_check=True)
    assert torch.equal(run(small), run(whole))
    assert small.ByteSize() < whole.ByteSize() - 500

    monkeypatch.setattr(quantisation, "shrink", lambda model: None)
    whole = quantisation.quantise(small, IMAGES)
    small = onnx.ModelProto.FromString(whole.SerializeToString())
    shrink(small)
    onnx.checker.check_model(small, full_check=True)
    assert torch.equal(run(small), run(whole))
    assert small.ByteSize() < whole.ByteSize() - 2000


@pytest.mark.parametrize("kind", [kind for kind in DEFAULTS if not kind.startswith("Q") or kind == "QuantizeLinear"])
def test_defaults_are_those_of_onnx(kind: str) -> None:
    known = onnx.defs.get_schema(kind).attributes
    for name, value in DEFAULTS[kind].items():
        if name in known:
            assert helper.get_attribute_value(known[name].default_value) == value


def make_model(nodes: list[onnx.NodeProto], outputs: list[str], **constants: np.ndarray) -> onnx.ModelProto:
    form = [2, 3, 4, 4]
    graph = helper.make_graph(
        nodes,
        "sample",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, form)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_equal_operations_and_equal_constants_are_kept_once() -> None:
    one = np.ones(1, np.float32)
    nodes = [
        helper.make_node("Relu", ["images"], ["first"], name="first node"),
        helper.make_node("Relu", ["images"], ["second"], doc_string="as before"),
        helper.make_node("Add", ["first", "one"], ["third"]),
        helper.make_node("Add", ["second", "unit"], ["fourth"]),
        helper.make_node("Relu", ["fourth"], ["unread"]),
        helper.make_node("Mul", ["third", "fourth"], ["result"]),
    ]
    model = make_model(nodes, ["result"], one=one, unit=one)
    shrink(model)

    assert [node.op_type for node in model.graph.node] == ["Relu", "Add", "Mul"]
    assert len(model.graph.initializer) == 1
    relu, add, product = model.graph.node
    assert add.input[0] == relu.output[0]
    assert list(product.input) == [add.output[0]] * 2
    assert (relu.name, product.output[0]) == ("", "result")
    assert all(name.isidentifier() for node in model.graph.node for name in (*node.input, *node.output))


def test_outputs_and_operations_that_differ_are_kept() -> None:
    nodes = [
        helper.make_node("Softmax", ["images"], ["rows"], axis=2),
        helper.make_node("Softmax", ["images"], ["columns"], axis=3),
        helper.make_node("Softmax", ["images"], ["rows_again"], axis=2),
    ]
    model = make_model(nodes, ["rows", "columns", "rows_again"])
    shrink(model)
    assert [(node.output[0], node.attribute[0].i) for node in model.graph.node] == [
        ("rows", 2),
        ("columns", 3),
        ("rows_again", 2),
    ]


def test_defaults_of_layers_are_dropped_and_other_values_are_not() -> None:
    weight = np.ones((3, 1, 3, 3), np.float32)
    plain = {"kernel_shape": [3, 3], "pads": [0] * 4, "dilations": [1, 1], "auto_pad": "NOTSET"}
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["first"], strides=[1, 1], group=3, **plain),
        helper.make_node("MaxPool", ["first"], ["result"], kernel_shape=[2, 2], strides=[2, 1], ceil_mode=0),
    ]
    model = make_model(nodes, ["result"], weight=weight)
    shrink(model)
    left = [{each.name: helper.get_attribute_value(each) for each in node.attribute} for node in model.graph.node]
    assert left == [{"group": 3}, {"kernel_shape": [2, 2], "strides": [2, 1]}]


def test_the_most_read_tensors_have_the_shortest_names() -> None:
    names = onnx_shrinking._identifiers()
    first = [next(names) for _ in range(52 + 52 * 62 + 1)]
    assert [len(name) for name in first] == [1] * 52 + [2] * 52 * 62 + [3]
    assert len(set(first)) == len(first)
    assert all(name.isidentifier() for name in first)

    chain = ["images", *(f"tensor_{place}" for place in range(60)), "result"]
    nodes = [helper.make_node("Relu", [chain[place]], [chain[place + 1]]) for place in range(60)]
    nodes += [helper.make_node("Sum", [chain[60], *["often"] * 3], ["result"])]
    model = make_model(nodes, ["result"], often=np.ones(1, np.float32))
    shrink(model)
    assert model.graph.initializer[0].name == "a"


def test_graphs_within_operations_read_the_tensors_that_they_name() -> None:
    inner = helper.make_graph([helper.make_node("Relu", ["kept"], ["chosen"])], "branch", [], [
        helper.make_tensor_value_info("chosen", onnx.TensorProto.FLOAT, None)
    ])  # fmt: skip
    nodes = [
        helper.make_node("Identity", ["images"], ["kept"]),
        helper.make_node("If", ["yes"], ["result"], then_branch=inner, else_branch=inner, doc_string="a note"),
    ]
    model = make_model(nodes, ["result"], yes=np.array(True))
    shrink(model)
    assert [node.output[0] for node in model.graph.node] == ["kept", "result"]
    assert model.graph.node[1].doc_string == ""


def test_a_corner_of_a_map_is_one_slice_and_a_norm_is_a_convolution() -> None:
    class Corner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            nn.init.uniform_(self.norm.running_var, 0.5, 2)
            nn.init.normal_(self.norm.running_mean)
            nn.init.normal_(self.norm.bias)

        def forward(self, x: Tensor) -> Tensor:
            corner = self.norm(x[:, :, 1:, :-1])
            return torch.cat([corner, x[:, :, 1:][:, :, :4, :4]], 1)

    torch.manual_seed(0)
    net, images = Corner().eval(), torch.randn(1, 3, 5, 5)
    content = write_onnx(deployed_graph(net, (3, 5, 5)))
    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert (kinds.count("Conv"), kinds.count("BatchNormalization")) == (1, 0)
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(answers), net(images))


def test_slices_of_two_dimensions_are_one() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 1:, 1:].relu()

    content = write_onnx(deployed_graph(Inner().eval(), (1, 4, 4)))
    assert [node.op_type for node in onnx.load_from_string(content).graph.node] == ["Slice", "Relu", "Identity"]


def test_what_no_output_needs_is_dropped() -> None:
    nodes = [helper.make_node("Relu", ["images"], ["result"]), helper.make_node("Add", ["images", "one"], ["unread"])]
    model = make_model(nodes, ["result"], one=np.ones(1, np.float32))
    drop_unread(model)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    assert not model.graph.initializer
