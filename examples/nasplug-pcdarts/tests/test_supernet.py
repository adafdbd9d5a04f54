from __future__ import annotations

import pytest
import torch
from nasplug_pcdarts.edges import BYPASS
from nasplug_pcdarts.space import PCDarts
from nasplug_pcdarts.supernet import PartialCell, PartialSupernet, shuffle
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.spaces import Darts
from nasplug.values import ImageShape

SHAPE = ImageShape(channels=1, size=9, classes=3)


def norm(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


def halve(x: Tensor, even: nn.Conv2d, odd: nn.Conv2d) -> Tensor:
    x = F.pad(F.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    return norm(torch.cat([F.conv2d(x, even.weight, stride=2), F.conv2d(x[:, :, 1:, 1:], odd.weight, stride=2)], 1))


def operate(cell: PartialCell, name: str, source: int, node: int, x: Tensor) -> Tensor:
    """One candidate as in the code of DARTS, with the weights of `cell`."""
    stride = cell.layout.stride(source)
    if name == "none":
        return torch.zeros_like(x[:, :, ::stride, ::stride])
    if name == "skip_connect" and stride == 1:
        return x
    if name == "max_pool_3x3":
        return norm(F.max_pool2d(x, 3, stride, padding=1))
    if name == "avg_pool_3x3":
        return norm(F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False))
    module = cell.candidates[f"{name}@{source}>{node}"]
    if name == "skip_connect":
        return halve(x, module.even, module.odd)
    for repeat, (depthwise, pointwise) in enumerate(zip(module.depthwise, module.pointwise, strict=True)):
        kernel, dilation = depthwise.kernel_size[0], 2 if name.startswith("dil") else 1
        x = F.conv2d(
            F.relu(x),
            depthwise.weight,
            stride=1 if repeat else stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=x.shape[1],
        )
        x = norm(F.conv2d(x, pointwise.weight))
    return x


def mixed(cell: PartialCell, source: int, node: int, x: Tensor, alpha: dict[str, Tensor]) -> Tensor:
    """The mixed operation of an edge: equation 2 of the paper, with the released code's shuffle."""
    kept = x.shape[1] // cell.partial
    first = sum(weight * operate(cell, name, source, node, x[:, :kept]) for name, weight in alpha.items())
    if cell.partial == 1:
        return first
    rest = x[:, kept:]
    if cell.layout.stride(source) == 2:
        rest = F.max_pool2d(rest, 2, ceil_mode=True)
    joined = torch.cat([first, rest], 1)
    groups = [joined[:, number * kept : (number + 1) * kept] for number in range(cell.partial)]
    return torch.stack(groups, 2).flatten(1, 2)


def plain_logits(net: PartialSupernet, images: Tensor) -> Tensor:
    """The supernet edge by edge, with a softmax over alpha of an edge and one over beta of a node."""
    choices = net.choices
    older, newer = net.stem(images)
    for cell in net.cells:
        kind, layout = cell.layout.kind, cell.layout
        first = (
            halve(older, cell.older.even, cell.older.odd)
            if layout.halves_older
            else norm(F.conv2d(F.relu(older), cell.older.convolution.weight))
        )
        states = [first, norm(F.conv2d(F.relu(newer), cell.newer.convolution.weight))]
        for node in range(2, cell.nodes + 2):
            beta = choices.alpha[choices.rows[f"{kind}/{node}/inputs"], :node].softmax(0)
            total = torch.zeros(())
            for source, x in enumerate(states):
                row = choices.rows[f"{kind}/{node}<-{source}"]
                alpha = choices.alpha[row].softmax(0)
                weights = dict(zip(choices.choices[row].candidates, alpha, strict=True))
                total = total + beta[source] * mixed(cell, source, node, x, weights)
            states.append(total)
        older, newer = newer, torch.cat(states[2:], 1)
    return F.linear(newer.mean((2, 3)), net.classifier.weight, net.classifier.bias)


def supernet(**options: object) -> PartialSupernet:
    torch.manual_seed(0)
    net = PCDarts(nodes=3, cells=3, **options).supernet(SHAPE).double()
    net.choices.alpha.data = torch.randn(net.choices.alpha.shape, dtype=torch.float64)
    return net


@pytest.mark.parametrize(("partial", "size"), [(1, 8), (2, 9), (4, 8), (4, 9)])
def test_logits_and_all_gradients_are_those_of_a_plain_supernet(partial: int, size: int) -> None:
    net = supernet(channels=4, partial=partial)
    images = torch.randn(3, 1, size, size, dtype=torch.float64)
    parameters = list(net.parameters())

    def gradients(logits: Tensor) -> list[Tensor]:
        found = torch.autograd.grad(logits.square().sum(), parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]

    fast, plain = net(images), plain_logits(net, images)

    assert torch.allclose(fast, plain, rtol=1e-9, atol=1e-9)
    for own, expected in zip(gradients(fast), gradients(plain), strict=True):
        assert torch.allclose(own, expected, rtol=1e-6, atol=1e-8)


def test_with_all_channels_and_equal_edges_a_node_is_that_of_darts_over_its_inputs() -> None:
    """K = 1 and a uniform beta: node n, with n inputs, is 1/n of the node that DARTS computes from the same states."""
    net = supernet(channels=4, partial=1)
    choices = net.choices
    with torch.no_grad():
        for name, row in choices.rows.items():
            if name.endswith("/inputs"):
                choices.alpha[row] = 0.7
    torch.manual_seed(0)
    darts = Darts(nodes=3, cells=3, channels=4).supernet(SHAPE).double()
    assert [name for name, _ in darts.named_parameters()] == [name for name, _ in net.named_parameters()]
    weights = {name: value for name, value in net.state_dict().items() if not name.startswith("choices.")}
    darts.load_state_dict(weights, strict=False)
    weights_of_darts = choices.weights().clone()
    for node in range(2, 5):
        for source in range(node):
            for kind in ("normal", "reduce"):
                weights_of_darts[choices.rows[f"{kind}/{node}<-{source}"]] /= node
    edges = len(darts.choices)
    darts.choices.relaxation = lambda alpha, active: weights_of_darts[:edges].detach()
    images = torch.randn(3, 1, 9, 9, dtype=torch.float64)

    assert torch.allclose(net(images), darts(images), rtol=1e-9, atol=1e-9)


def test_shuffling_deals_the_channels_of_all_groups_out_in_turn() -> None:
    x = torch.arange(8.0).view(1, 8, 1, 1)

    assert shuffle(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert torch.equal(shuffle(shuffle(x, 4), 2), x)


def test_a_candidate_has_so_much_fewer_weights() -> None:
    modules = [supernet(channels=8, partial=k).cells[0].candidates["sep_conv_3x3@0>2"] for k in (1, 4)]
    counts = [sum(weight.numel() for weight in module.parameters()) for module in modules]

    assert counts == [2 * (9 * 8 + 8 * 8), 2 * (9 * 2 + 2 * 2)]


def test_a_deleted_input_takes_its_candidates_along() -> None:
    net = supernet(channels=4)
    choices = net.choices
    doomed = torch.zeros_like(choices.kept)
    row = choices.rows["normal/3/inputs"]
    doomed[row, 0] = True
    assert int(choices.delete(doomed)) == 1
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    before = net(images)

    net.prune()

    assert torch.equal(net(images), before)
    assert bool((net.candidate_weights()[choices.rows["normal/3<-0"]] == 0).all())
    for cell in net.cells:
        held = "sep_conv_3x3@0>3" in cell.candidates
        assert held == (cell.layout.kind == "reduce")
        groups = cell.find_groups(choices.computed_columns)
        edges = {edge for wave in groups.waves for group in wave for edge in group.edges}
        assert ((0, 3) in edges) == held
        assert any(group.operation == BYPASS for wave in groups.waves for group in wave)


def test_a_node_never_loses_more_than_all_but_two_inputs() -> None:
    choices = supernet(channels=4).choices
    choices.delete(torch.ones_like(choices.kept))

    assert all(
        len(columns) == (2 if choice.name.endswith("/inputs") else 1)
        for choice, columns in zip(choices, choices.active_columns, strict=True)
    )


def test_channels_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(InputError, match=r"compute 1/4 of the channels of a state, which are 6 in the first cell"):
        PCDarts(channels=6).supernet(SHAPE)
