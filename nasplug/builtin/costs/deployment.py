"""The graph of a network as an inference runtime carries it out.

Runtimes do not compute batch norm by itself: they fold it into the weights of the convolution before it. What a network
costs on a device is read from the graph after that step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

aten = torch.ops.aten

PASSED_ON = frozenset({aten.alias.default, aten.clone.default, aten.detach.default, aten.dropout.default})
"""Operations that give their first argument unchanged when a network is used."""


def deployed_graph(net: nn.Module, shape: Sequence[int]) -> fx.GraphModule:
    """What `net`, in evaluation mode, computes for one input of `shape` (C, H, W), in its order of execution.

    Nodes are ATen operations; the meta entry "val" of each holds a tensor without data, of the form of its result.
    Batch norms that follow a convolution are folded into it, and operations that change nothing are left out.
    """
    example = torch.zeros(1, *shape)
    with torch.no_grad():
        program = torch.export.export(net, (example,))
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)  # noqa: S101 - what torch.export is documented to give
    for node in list(module.graph.nodes):
        if node.target in PASSED_ON:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
        elif node.target is aten.batch_norm.default:
            _fold(module, node)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def constants(module: fx.GraphModule) -> list[Tensor]:
    """The weights that the graph reads, each once."""
    read = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    tensors = [_attribute(module, name) for name in sorted(read)]
    return list({tensor.data_ptr() or id(tensor): tensor for tensor in tensors}.values())


def _fold(module: fx.GraphModule, norm: fx.Node) -> None:
    """Folds a batch norm into the convolution whose result it alone reads; leaves it where there is none."""
    conv, scale, shift, mean, variance = norm.args[:5]
    if not isinstance(conv, fx.Node) or conv.target is not aten.conv2d.default or len(conv.users) > 1:
        return
    bias = conv.args[2] if len(conv.args) > 2 else None
    operands = [_constant(module, node) for node in (conv.args[1], bias, mean, variance, scale, shift)]
    weight, bias_values, means, variances, scales, shifts = operands
    if weight is None or means is None or variances is None:
        return
    eps = norm.args[7]
    assert isinstance(eps, float)  # noqa: S101 - by the schema of the operation
    folded = fuse_conv_bn_weights(weight, bias_values, means, variances, eps, scales, shifts)
    names = [f"_folded_{conv.name}_{kind}" for kind in ("weight", "bias")]
    for name, tensor in zip(names, folded, strict=True):
        module.register_buffer(name, tensor.detach())
    with module.graph.inserting_before(conv):
        conv.args = (conv.args[0], *map(module.graph.get_attr, names), *conv.args[3:])
    norm.replace_all_uses_with(conv)
    module.graph.erase_node(norm)


def _constant(module: nn.Module, node: object) -> Tensor | None:
    """The weight that a node reads; None for an operand that is not there, or is computed."""
    return _attribute(module, node.target) if isinstance(node, fx.Node) and node.op == "get_attr" else None


def _attribute(module: nn.Module, name: object) -> Tensor:
    found: object = module
    for part in str(name).split("."):
        found = getattr(found, part)
    assert isinstance(found, Tensor)  # noqa: S101 - the graph of an exported network reads tensors only
    return found
