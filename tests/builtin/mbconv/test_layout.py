from __future__ import annotations

from nasplug.builtin.mbconv.choices import read_blocks
from nasplug.builtin.mbconv.genotype import Cell
from nasplug.builtin.mbconv.layout import Widths, make_stem_layout, make_supernet_layout
from nasplug.values import ImageShape


def test_widths_are_those_listed_at_32_channels_and_in_proportion_otherwise():
    listed = (16, 24, 40, 112, 320)
    assert [Widths(32, None)(width) for width in (7, *listed)] == [7, *listed]
    assert [Widths(16, None)(width) for width in listed] == [8, 12, 20, 56, 160]
    assert [Widths(4, None)(width) for width in listed] == [2, 3, 5, 14, 40]
    assert [Widths(64, None)(width) for width in listed] == [32, 48, 80, 224, 640]
    assert [Widths(2, None)(width) for width in (1, 16)] == [1, 1]
    for channels in range(2, 80):
        widths = Widths(channels, None)
        scaled = [widths(width) for width in range(1, 330)]
        assert scaled == sorted(scaled)
        assert all(abs(scaled_width - width * channels / 32) <= 4 for width, scaled_width in enumerate(scaled, 1))


def test_the_head_is_four_times_the_last_width_up_to_1280_or_as_asked():
    assert [Widths(channels, None).of_head(320) for channels in (16, 32, 64)] == [640, 1280, 1280]
    assert Widths(16, None).of_head(40) == 80
    assert Widths(16, 99).of_head(40) == 99


def test_the_supernet_of_dna_reads_and_gives_the_widths_of_efficientnet_b7():
    widths = Widths(channels=32, head=None)
    stem = make_stem_layout("auto", widths, ImageShape(3, 224, 1000))
    for preset in ("dna", "dna-single"):
        layout = make_supernet_layout(stem, read_blocks((preset,)), widths, 1000, doubled=True)
        outputs = [(output.channels, output.size) for output in layout.outputs]
        assert outputs == [(48, 56), (80, 28), (160, 14), (224, 14), (384, 7), (640, 7)]
        assert layout.head == 1280
    first, *hidden, last = layout.blocks[1][Cell(4, 40, 2)]
    assert (first.in_channels, first.squeeze_channels, first.out_channels, first.stride, first.size) == (
        48,
        12,
        40,
        2,
        56,
    )
    assert [(layer.in_channels, layer.out_channels, layer.residual) for layer in hidden] == [(40, 40, True)] * 2
    assert (last.in_channels, last.out_channels, last.residual) == (40, 80, False)
    assert sum(map(len, read_blocks(("dna",)))) == 16
