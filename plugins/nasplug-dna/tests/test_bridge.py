from __future__ import annotations

from typing import Any

import pytest
import torch
from nasplug_dna.bridge import Adaptor, build_bridge
from nasplug_dna.distance import mse
from torch import nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Block
from nasplug.values import MapShape


def block(inputs: tuple[MapShape, ...], output: MapShape | None) -> Block:
    return Block(inputs=inputs, output=output, enter=lambda maps: maps, layers=(), leave=lambda maps: maps, modules=())


@pytest.mark.parametrize(("source", "target"), [(8, 4), (7, 3), (4, 8), (3, 7), (5, 5)])
def test_an_adaptor_mixes_channels_and_changes_the_size(source: int, target: int) -> None:
    torch.manual_seed(0)
    adaptor = Adaptor(MapShape(3, source), MapShape(5, target), convolution=True)
    x = torch.randn(2, 3, source, source)
    mixed = torch.einsum("oc,nchw->nohw", adaptor.mix.weight[:, :, 0, 0], x)
    sized = F.adaptive_avg_pool2d(mixed, target) if source > target else F.interpolate(mixed, target)
    torch.testing.assert_close(adaptor(x), sized)
    assert [name for name, _ in adaptor.named_parameters()] == ["mix.weight"]


def test_without_convolution_only_the_size_changes() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    halves = Adaptor(MapShape(1, 4), MapShape(1, 2), convolution=False)(x)
    assert halves.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    doubles = Adaptor(MapShape(1, 2), MapShape(1, 4), convolution=False)(halves)
    assert doubles[0, 0, 0].tolist() == [2.5, 2.5, 4.5, 4.5]


@pytest.mark.parametrize(("adaptors", "expected"), [("auto", [True, False, True]), ("always", [True, True, True])])
def test_convolutions_stand_where_channels_differ(adaptors: str, expected: list[bool]) -> None:
    bridge = build_bridge(
        1, block((MapShape(4, 8), MapShape(6, 8)), MapShape(8, 4)), MapShape(6, 8), MapShape(9, 4), adaptors
    )
    assert [isinstance(adaptor.mix, nn.Conv2d) for adaptor in [*bridge.inputs, bridge.output]] == expected
    assert [tuple(maps.shape) for maps in bridge.enter(torch.zeros(2, 6, 8, 8))] == [(2, 4, 8, 8), (2, 6, 8, 8)]


def test_outputs_meet_at_the_smaller_size() -> None:
    torch.manual_seed(0)
    for ours, theirs in ((4, 2), (2, 4)):
        bridge = build_bridge(0, block((), MapShape(3, ours)), None, MapShape(3, theirs), "auto")
        output, target = torch.randn(2, 3, ours, ours), torch.randn(2, 3, theirs, theirs)
        plain = F.mse_loss(F.adaptive_avg_pool2d(output, 2), F.adaptive_avg_pool2d(target, 2))
        torch.testing.assert_close(bridge.compare(output, target, mse), plain)
        assert bridge.enter(output) == (output,)  # images pass as they are


def test_distances_stay_float32_under_mixed_precision() -> None:
    torch.manual_seed(0)
    bridge = build_bridge(0, block((), MapShape(3, 4)), None, MapShape(5, 4), "auto")
    output, target = torch.randn(2, 3, 4, 4).bfloat16(), torch.randn(2, 5, 4, 4).bfloat16()
    plain = bridge.compare(output.float(), target.float(), mse)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = bridge.compare(output, target, mse)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)


def test_without_adaptors_widths_must_agree() -> None:
    same: Any = (block((MapShape(4, 8),), MapShape(8, 4)), MapShape(4, 4), MapShape(8, 8))
    assert not list(build_bridge(1, *same, "never").parameters())
    with pytest.raises(InputError, match=r"input of block 1 5 channels meet 4.*adaptors=auto"):
        build_bridge(1, same[0], MapShape(5, 4), same[2], "never")
    with pytest.raises(InputError, match=r"output of block 2 8 channels meet 9"):
        build_bridge(2, same[0], same[1], MapShape(9, 8), "never")


def test_a_block_of_logits_is_refused() -> None:
    with pytest.raises(InputError, match=r"logits.*mbconv"):
        build_bridge(0, block((), None), None, MapShape(8, 4), "auto")
