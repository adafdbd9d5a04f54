"""The graph of a network as an inference runtime carries it out.

Runtimes do not compute batch norm by itself: they fold it into the weights of the convolution before it. What a network
costs on a device is read from the graph after that step.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

aten = torch.ops.aten

PASSED_ON = frozenset({aten.alias.default, aten.clone.default, aten.detach.default, aten.dropout.default})
"""Operations that give their first argument unchanged when a network is used."""
RESHAPES = frozenset({aten.reshape.default, aten.view.default})
"""Operations that name the sizes of their result, the number of images among them."""

_captured: WeakKeyDictionary[nn.Module, tuple[Hashable, fx.GraphModule]] = WeakKeyDictionary()
"""The last graph of each network that is alive, with what it was captured for: a capture takes about a second."""


def deployed_graph(net: nn.Module, shape: Sequence[int], *, folded: bool = True) -> fx.GraphModule:
    """What `net`, in evaluation mode, computes for inputs of `shape` (C, H, W), in its order of execution.

    Nodes are ATen operations; the meta entry "val" of each holds a tensor without data, of the form of its result for
    one input.
    Batch norms that follow a convolution are folded into it unless `folded` is false, what is computed from weights
    alone becomes a weight, and operations that change nothing are left out.

    The graph is captured once for a network and a shape, and again when its modules, their modes, or its weights have
    changed; it must not be changed itself.
    """
    key = (tuple(shape), folded, _identify(net))
    known = _captured.get(net)
    if known is None or known[0] != key:
        known = _captured[net] = (key, _capture(net, shape, folded))
    return known[1]


def _identify(net: nn.Module) -> Hashable:
    """Differs from what it was if modules, their modes or weights have changed since."""
    modules = tuple((id(module), module.training) for module in net.modules())
    tensors = (*net.parameters(), *net.buffers())
    # What inference mode has made counts no changes.
    return modules, tuple((id(tensor), None if tensor.is_inference() else tensor._version) for tensor in tensors)


def _capture(net: nn.Module, shape: Sequence[int], folded: bool) -> fx.GraphModule:
    example = torch.zeros(1, *shape)
    with torch.no_grad():
        program = torch.export.export(net, (example,))
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)  # noqa: S101 - what torch.export is documented to give
    for node in list(module.graph.nodes):
        if node.target in PASSED_ON:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
        elif node.op == "call_function" and {read.op for read in node.all_input_nodes} == {"get_attr"}:
            _compute(module, node)
        elif node.target in RESHAPES:
            _keep_batch(node)
        elif folded and node.target is aten.batch_norm.default:
            _fold(module, node)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def count_operations(module: fx.GraphModule) -> int:
    """The operations that a graph of `deployed_graph` consists of."""
    return sum(node.op == "call_function" and node.target is not operator.getitem for node in module.graph.nodes)


def _compute(module: fx.GraphModule, node: fx.Node) -> None:
    """Puts a weight in the place of a node that reads weights alone, such as the part of a kernel that reads a map."""
    assert callable(node.target)  # noqa: S101 - as the target of every call_function is
    value = node.target(*fx.map_arg(node.args, lambda read: read_constant(module, read.target)), **node.kwargs)
    if isinstance(value, Tensor):
        with module.graph.inserting_before(node):
            node.replace_all_uses_with(_add_constant(module, f"_computed_{node.name}", value))
        module.graph.erase_node(node)


def _keep_batch(node: fx.Node) -> None:
    """Lets a reshape of one image be one of any number of them, which follows from the sizes of their maps."""
    source = node.args[0]
    assert isinstance(source, fx.Node)  # noqa: S101 - by the schema of the operation
    if source.meta["val"].shape[0] == node.meta["val"].shape[0]:
        node.args = (source, [-1, *node.meta["val"].shape[1:]])


def _fold(module: fx.GraphModule, norm: fx.Node) -> None:
    """Folds a batch norm into the convolution whose result it alone reads; leaves it where there is none."""
    conv, scale, shift, mean, variance = norm.args[:5]
    if not isinstance(conv, fx.Node) or conv.target is not aten.conv2d.default or len(conv.users) > 1:
        return
    bias = conv.args[2] if len(conv.args) > 2 else None
    values = [_constant(module, node) for node in (conv.args[1], bias, mean, variance, scale, shift)]
    weight, bias_values, means, variances, scales, shifts = values
    if weight is None or means is None or variances is None:
        return
    eps = norm.args[7]
    assert isinstance(eps, float)  # noqa: S101 - by the schema of the operation
    folded = fuse_conv_bn_weights(weight, bias_values, means, variances, eps, scales, shifts)
    with module.graph.inserting_before(conv):
        operands = [
            _add_constant(module, f"_folded_{conv.name}_{kind}", tensor)
            for kind, tensor in zip(("weight", "bias"), folded, strict=True)
        ]
        conv.args = (conv.args[0], *operands, *conv.args[3:])
    norm.replace_all_uses_with(conv)
    module.graph.erase_node(norm)


def _add_constant(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_buffer(name, value.detach().contiguous())
    return module.graph.get_attr(name)


def _constant(module: nn.Module, node: object) -> Tensor | None:
    """The weight that a node reads; None for an operand that is not there, or is computed."""
    return read_constant(module, node.target) if isinstance(node, fx.Node) and node.op == "get_attr" else None


def read_constant(module: nn.Module, name: object) -> Tensor:
    """The weight that a node "get_attr" with this target reads."""
    found: object = module
    for part in str(name).split("."):
        found = getattr(found, part)
    assert isinstance(found, Tensor)  # noqa: S101 - the graph of an exported network reads tensors only
    return found
