from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.values import Edge, Genotype
from nasplug.values.options import build, option_values


def test_random_genotypes_and_mutants_belong_to_the_space(space):
    generator = Random(1)
    genotype, kinds = space.random(generator), set()
    for _ in range(80):
        space.check(genotype)
        assert space.parse(genotype.to_json()) == genotype
        mutant = space.mutate(genotype, generator)
        changed = {block for block in "012" if _block(genotype, block) != _block(mutant, block)}
        assert len(changed) == 1
        block = changed.pop()
        if genotype[f"{block}/cell"] == mutant[f"{block}/cell"]:
            differing = [place for place in genotype.places if genotype[place] != mutant[place]]
            assert len(differing) == 1
            kinds.add("operation")
        else:
            kinds.add("cell")
        genotype = mutant
    assert kinds == {"operation", "cell"}


def _block(genotype, block):
    return [pick for pick in genotype.picks if pick[0].startswith(f"{block}/")]


def test_the_only_genotype_of_a_space_is_its_own_mutant():
    space = MBConvSpace(blocks=("s1 2x4",), kernels=(3,), expansions=(2,))
    genotype = space.random(Random(0))
    assert space.mutate(genotype, Random(0)) == genotype


def test_cells_are_drawn_alike_however_many_paths_they_have(space):
    drawn = [space.random(Random(seed))["1/cell"] for seed in range(200)]
    assert 70 < drawn.count(("1x6s2",)) < 130


@pytest.mark.parametrize("block", [0, 1, 2])
def test_the_paths_of_a_block_are_all_its_parts_of_genotypes_depth_first(space, block):
    paths = space.paths(block)
    every = list(paths.enumerate())
    assert len(every) == len(set(every)) == paths.count == {0: 4 + 16, 1: 4 + 64, 2: 16}[block]
    assert {space.paths(block).sample(Random(seed)) for seed in range(30)} <= set(every)
    # A prefix of layers never comes back once it was left: every step of the tree is taken once.
    prefixes = [[path.picks[:length] for length in range(1, len(path.picks) + 1)] for path in every]
    steps = sum(len(set(after) - set(before)) for before, after in pairwise([[], *prefixes]))
    assert steps == len({prefix for path in prefixes for prefix in path})


def test_paths_of_all_blocks_are_the_genotypes(space):
    paths = space.paths(None)
    assert paths.count == 20 * 68 * 16
    some = list(paths.select(50, Random(0)))
    assert len(set(some)) == 50
    for genotype in some:
        space.check(genotype)
    small = MBConvSpace(blocks=("s1 1x4 2x4", "s2 1x4"), kernels=(3,))
    every = list(small.paths(None).enumerate())
    assert len(set(every)) == len(every) == small.paths(None).count == (2 + 4) * 2
    joined = [Genotype.join([one, other]) for one in small.paths(0).enumerate() for other in small.paths(1).enumerate()]
    assert joined == every


def test_dna_has_two_times_ten_to_the_seventeenth_members():
    assert 1.9e17 < MBConvSpace(blocks=("dna",)).paths(None).count < 2e17
    assert MBConvSpace(blocks=("dna-single",)).paths(None).count == 6**19


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


@pytest.mark.parametrize(
    ("picks", "words"),
    [
        ({}, "numbered from 0 in order; this one has none"),
        ({"1/cell": ["1x4s1"], "1/1": ["k3e6"]}, "this one has 1"),
        ({"0/cell": ["2x4s1"], "0/1": ["k3e6"]}, "needs 0/cell, 0/1, 0/2"),
        ({"0/1": ["k3e6"], "0/cell": ["1x4s1"]}, "in this order"),
        ({"0/1": ["k3e6"]}, "lacks the place '0/cell'"),
        ({"0/cell": ["01x4s1"]}, "a cell is written"),
        ({"0/cell": ["1x4"]}, "a cell is written"),
        ({"0/cell": ["1x4s1"], "0/1": ["k4e6"]}, "odd kernel"),
        ({"0/cell": ["1x4s1"], "0/1": ["skip"]}, "an operation is written"),
        ({"0/cell": ["1x4s1"], "0/1": ["k3e6", "k3e3"]}, "exactly one candidate"),
        ({"0/cell": []}, "here it is nothing"),
        ({"first/cell": ["1x4s1"]}, "written block/cell"),
    ],
)
def test_malformed_genotypes_are_refused_in_a_sentence(picks, words):
    with pytest.raises(InputError, match=words):
        MBConvSpace().parse(Genotype("mbconv", picks).to_json())


def test_genotypes_of_other_spaces_are_refused(space):
    with pytest.raises(InputError, match="belongs to the space 'darts'"):
        space.check(Genotype("darts", {"normal/2": ["skip_connect@0"]}))


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
