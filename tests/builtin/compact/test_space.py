from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.compact import Compact
from nasplug.builtin.compact.genotype import Width
from nasplug.builtin.compact.layout import scale_width
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.values import Edge
from nasplug.values.options import build, option_values


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages": ("smal",)}, "Did you mean 'small'"),
        ({"stages": ()}, "at least one stage"),
        ({"stages": ("2x24",)}, "written as the stride"),
        ({"stages": ("s3 2x24",)}, "written as the stride"),
        ({"stages": ("s1 0x24",)}, "written as the stride"),
        ({"stages": ("s1 2x24 3x24",)}, "written as the stride"),
        ({"stages": ("s1 2x2",), "multipliers": (1.0, 1.1)}, "2s1, 2s1; they need to be distinct"),
        ({"stages": ("s1 2x9000",)}, "at most 9999"),
        ({"multipliers": ()}, "ascending order"),
        ({"multipliers": (1.0, 0.5)}, "ascending order"),
        ({"multipliers": (0.0, 0.5)}, "above 0"),
        ({"operations": ("conv4",)}, "In option 'operations', an operation is written"),
        ({"operations": ("all", "conv3")}, "twice"),
        ({"operations": ("skip",)}, "other than 'skip'"),
        ({"operations": ()}, "at least one operation"),
        ({"activation": "silu"}, "relu, relu6"),
    ],
)
def test_options_are_refused_with_what_would_fit(options, words):
    with pytest.raises(InputError, match=words):
        Compact(**options)


def test_options_survive_plain_data():
    space = Compact(stages=("deep", "s1  1x64"), multipliers=(1.0, 2.0), operations=("conv3", "ir3e6"), channels=5)
    assert build(Compact, option_values(space), "space compact") == space
    assert space.taps() == 4
    assert build(Compact, {"stages": "s1 1x8, s2 2x8"}, "space compact").taps() == 2


def test_check_names_what_does_not_belong():
    space = Compact()
    with pytest.raises(InputError, match="1 stages, but option 'stages' of the space 3"):
        space.check(space.parse("ds-cnn"))
    with pytest.raises(InputError, match="1 layers, but option 'stages' of the space 2; layers that are left out"):
        space.check(space.parse("resnet8"))
    with pytest.raises(InputError, match=r"the width '17s1'.*offer 8s1, 12s1, 16s1, 24s1 there"):
        space.check(space.parse("17s1 res3 skip | 32s2 res3 skip | 64s2 res3 skip"))
    with pytest.raises(InputError, match="Stage 1 of this genotype uses conv5, res7"):
        space.check(space.parse("16s1 res3 skip | 32s2 res7 conv5 | 64s2 res3 skip"))
    space.check(space.parse("16s1 res3 skip | 32s2 res3 skip | 64s2 res3 skip"))


def test_scaled_changes_the_width_alone():
    space = Compact(operations=("all",), head=3)
    wide = space.scaled(channels=33)
    assert wide.size() == {"channels": 33, "stem": "auto"}
    assert (wide.stages, wide.operations, wide.head) == (space.stages, space.operations, 3)
    assert space.scaled() == space
    with pytest.raises(InputError, match=r"part of the genotype.*space\.stages"):
        space.scaled(cells=20)


def test_widths_are_in_proportion_and_round():
    assert [scale_width(Width(width, 1), 16) for width in (1, 9, 33)] == [1, 9, 33]
    assert [scale_width(Width(32, 1), channels) for channels in (1, 2, 3, 4, 5, 8, 15, 17, 18, 19, 32)] == [
        *(2, 4, 6, 8, 10, 16, 30, 36, 36, 40, 64)
    ]
    assert scale_width(Width(1, 1), 1) == 1


def test_every_stage_is_drawn_as_the_chain_of_its_layers():
    space = Compact()
    first, second = space.drawings(space.parse("8s1 conv3 | 16s2 ds3 skip ir3e2"))
    assert (first.title, first.nodes) == ("stage 0, width 8, stride 1", ("in", "out"))
    assert first.edges == (Edge("in", "out", "conv3"),)
    assert second.title == "stage 1, width 16, stride 2"
    assert second.edges == (Edge("in", "1", "ds3"), Edge("1", "2", "skip"), Edge("2", "out", "ir3e2"))


def test_the_interface_is_the_width():
    space = Compact()
    path = space.paths(1).sample(Random(0))
    assert str(space.interface(1, path)) == path["1/width"][0]


def test_it_is_registered():
    plugins = load_plugins()
    assert plugins.resolve(plugins.find("space", "compact")) is Compact
