"""The peak memory of activations, by the lifetimes of tensors in the deployed graph."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import attrs
import torch
from torch import fx, nn

from nasplug.deployment.graph import deployed_graph
from nasplug.deployment.precision import PRECISIONS, value_bytes
from nasplug.parts import CostMeasure, option
from nasplug.values import Unit

aten = torch.ops.aten

ELEMENTWISE = frozenset(
    {
        aten.add.Tensor,
        aten.batch_norm.default,
        aten.div.Tensor,
        aten.hardsigmoid.default,
        aten.hardswish.default,
        aten.hardtanh.default,
        aten.mul.Tensor,
        aten.relu.default,
        aten.relu6.default,
        aten.sigmoid.default,
        aten.silu.default,
        aten.sub.Tensor,
    }
)
"""Operations whose every output value depends on the input values at the same place only, so that a runtime can write
the result over an input of equal size that nothing reads any more."""

RESHAPES = frozenset(
    {
        aten.expand.default,
        aten.flatten.using_ints,
        aten.reshape.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.unsqueeze.default,
        aten.view.default,
    }
)
"""Operations that give the values of their input in another form, without a copy."""


@attrs.frozen
class Memory(CostMeasure):
    """Peak bytes of activations for one image: the input, the output, and all tensors alive in between.

    Operations are carried out in the order of the graph. A tensor lives from the operation that computes it to the last
    one that reads it; weights are not counted (see the measure `size`). Elementwise operations write over an input of
    the same size that is not needed any more, and reshapes copy nothing. A runtime with a planned arena needs at least
    this much; fragmentation and the scratch buffers of kernels come on top. An operation with several results, such as
    a split, computes them all at once.
    """

    unit = Unit("B", whole=True)

    precision: str = option("float32", "number format of activations on the device", choices=PRECISIONS)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The largest sum of the sizes of all tensors that are alive at the same time."""
        return peak_bytes(deployed_graph(net, shape), self.precision)


def peak_bytes(module: fx.GraphModule, precision: str = "float32") -> int:
    """The peak of a graph whose nodes have their form in the meta entry "val"."""
    steps = [node for node in module.graph.nodes if node.op in ("placeholder", "call_function", "output")]
    storage = _assign_storage(steps)
    step_of = {node: step for step, node in enumerate(steps)}
    first: dict[fx.Node, int] = {}
    last: dict[fx.Node, int] = {}
    for step, node in enumerate(steps):
        for used in (node, *node.all_input_nodes):
            if used in storage:
                first.setdefault(storage[used], step_of[_operation(used)])
                last[storage[used]] = step
    alive = [0] * len(steps)
    for owner in first:
        for step in range(first[owner], last[owner] + 1):
            alive[step] += value_bytes(owner.meta["val"], precision)
    return max(alive)


def _assign_storage(steps: Sequence[fx.Node]) -> dict[fx.Node, fx.Node]:
    """For every node that gives a tensor, the node in whose storage the tensor lies: itself, or an earlier one."""
    last_read = {read: step for step, node in enumerate(steps) for read in node.all_input_nodes}
    storage: dict[fx.Node, fx.Node] = {}
    busy_until: dict[fx.Node, int] = {}
    for step, node in enumerate(steps):
        if not isinstance(node.meta.get("val"), torch.Tensor):
            continue
        inputs = [storage[read] for read in node.all_input_nodes if read in storage]
        reused = [owner for owner in inputs if busy_until[owner] <= step and _values(owner) == _values(node)]
        if node.target in RESHAPES:
            owner = inputs[0]
        elif node.target in ELEMENTWISE and reused:
            owner = reused[0]
        else:
            owner = node
        storage[node] = owner
        busy_until[owner] = max(busy_until.get(owner, 0), last_read.get(node, step))
    return storage


def _operation(node: fx.Node) -> fx.Node:
    """The operation that computes what a node gives; a node may also pick one of the results of another."""
    return node.all_input_nodes[0] if node.target is operator.getitem else node


def _values(node: fx.Node) -> int:
    form: torch.Tensor = node.meta["val"]
    return form.numel()
