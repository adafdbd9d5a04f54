from __future__ import annotations

from random import Random

import pytest

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.values import Edge, Genotype
from nasplug.values.options import build, option_values


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blocks": ("smal",)}, "Did you mean 'small'"),
        ({"blocks": ()}, "at least one block"),
        ({"blocks": ("2x24",)}, "written as its stride"),
        ({"blocks": ("s3 2x24",)}, "written as its stride"),
        ({"blocks": ("s1 0x24",)}, "written as its stride"),
        ({"blocks": ("s1 2x24 2x24",)}, "twice"),
        ({"kernels": (3, 4)}, "it has 4"),
        ({"kernels": (3, 3)}, "distinct"),
        ({"kernels": (1,)}, "at least 3"),
        ({"expansions": ()}, "one or more"),
        ({"match": "tripled"}, "doubled, plain"),
    ],
)
def test_options_are_refused_with_what_would_fit(options, words):
    with pytest.raises(InputError, match=words):
        MBConvSpace(**options)


def test_options_survive_plain_data():
    space = MBConvSpace(blocks=("small", "s1  1x64"), kernels=(5,), channels=16, head=64, match="plain")
    assert build(MBConvSpace, option_values(space), "space mbconv") == space
    assert space.taps() == 4
    assert build(MBConvSpace, {"blocks": "s1 1x8 2x8, s2 2x8"}, "space mbconv").taps() == 2


def test_check_names_what_does_not_belong(space):
    genotype = space.random(Random(0))
    with pytest.raises(InputError, match="3 blocks, but option 'blocks' of the space 6"):
        MBConvSpace(blocks=("dna",)).check(genotype)
    with pytest.raises(InputError, match="offers 1x16s1, 2x16s1 there"):
        MBConvSpace().check(genotype)
    with pytest.raises(InputError, match="'kernels' and 'expansions'"):
        MBConvSpace(blocks=space.blocks).check(genotype)


def test_scaled_changes_the_width_alone(space):
    wide = space.scaled(channels=64)
    assert wide.size() == {"channels": 64, "stem": "auto"}
    assert (wide.blocks, wide.kernels) == (space.blocks, space.kernels)
    assert space.scaled() == space
    with pytest.raises(InputError, match="part of the genotype"):
        space.scaled(cells=20)


def test_every_block_is_drawn_as_the_chain_of_its_layers(space):
    genotype = Genotype.join(
        [
            Genotype("mbconv", {"0/cell": ["1x4s1"], "0/1": ["k3e2"]}),
            Genotype("mbconv", {"1/cell": ["3x4s2"], "1/1": ["k3e2"], "1/2": ["k5e3"], "1/3": ["k5e2"]}),
        ]
    )
    first, second = space.drawings(genotype)
    assert (first.nodes, first.edges) == (("in", "out"), (Edge("in", "out", "k3e2"),))
    assert second.title == "block 1, width 4, stride 2"
    assert second.edges == (Edge("in", "1", "k3e2"), Edge("1", "2", "k5e3"), Edge("2", "out", "k5e2"))


def test_it_is_registered():
    plugins = load_plugins()
    assert plugins.resolve(plugins.find("space", "mbconv")) is MBConvSpace
