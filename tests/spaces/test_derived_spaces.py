"""Spaces derived from the built-in ones: their names, options, sizes and copies."""

from __future__ import annotations

import pickle
from random import Random

import attrs
import pytest
import torch

from nasplug.errors import InputError
from nasplug.parts import Choice, SearchSpace, option
from nasplug.plugins import load_plugins
from nasplug.spaces import Compact, Darts, MBConvSpace, NasBench201
from nasplug.supernets import ChoiceSpace
from nasplug.values import Genotype, ImageShape
from nasplug.values.options import build, option_values

SHAPE = ImageShape(channels=1, size=8, classes=3)


@attrs.define
class DerivedCompact(Compact):
    name = "derived-compact"
    extra: int = option(1, "an option of its own", at_least=1)


@attrs.define
class DerivedDarts(Darts):
    name = "derived-darts"
    extra: int = option(1, "an option of its own", at_least=1)


@attrs.define
class DerivedMBConv(MBConvSpace):
    name = "derived-mbconv"
    extra: int = option(1, "an option of its own", at_least=1)


@attrs.define
class DerivedNasBench201(NasBench201):
    name = "derived-nb201"
    extra: int = option(1, "an option of its own", at_least=1)


class Undecorated(Darts):
    """A subclass without options needs no decorator."""

    name = "undecorated"


DERIVED = [
    DerivedCompact(channels=4, extra=3),
    DerivedDarts(channels=4, cells=2, nodes=2, extra=3),
    DerivedMBConv(channels=8, extra=3),
    DerivedNasBench201(channels=4, cells=1, extra=3),
]
each_space = pytest.mark.parametrize("space", DERIVED, ids=lambda space: space.name)


def parent_of(space: SearchSpace) -> SearchSpace:
    """The space of the parent's class with the same options."""
    parent = type(space).__mro__[1]
    values = {name: value for name, value in option_values(space).items() if name != "extra"}
    return build(parent, values, "parent")


def test_the_public_classes_are_those_that_are_registered():
    plugins = load_plugins()
    for cls in (Compact, Darts, MBConvSpace, NasBench201):
        assert plugins.resolve(plugins.find("space", cls.name)) is cls


@each_space
def test_its_genotypes_are_its_parents(space):
    parent, genotype = parent_of(space), space.random(Random(0))

    assert genotype.space == space.genotype_space == parent.name != space.name
    parent.check(genotype)
    assert space.parse(genotype.to_json()) == genotype
    assert space.cost(genotype, SHAPE) == parent.cost(genotype, SHAPE)
    assert space.mutate(genotype, Random(1)) == parent.mutate(genotype, Random(1))


@each_space
def test_a_foreign_genotype_is_refused_with_both_names(space):
    with pytest.raises(InputError) as caught:
        space.check(Genotype("elsewhere", {}))

    assert str(caught.value) == (
        f"This genotype belongs to the space 'elsewhere', not to '{space.genotype_space}'; genotypes of "
        f"'{space.name}' belong to '{space.genotype_space}'."
    )


@each_space
def test_a_genotype_of_the_derived_name_is_refused(space):
    genotype = space.random(Random(0))
    with pytest.raises(InputError, match=f"belongs to the space '{space.name}'"):
        space.check(Genotype(space.name, genotype.picks))


@each_space
def test_copies_keep_its_class_and_its_options(space):
    copies = [
        pickle.loads(pickle.dumps(space)),  # noqa: S301
        attrs.evolve(space),
        space.scaled(),
        build(type(space), option_values(space), "copy"),
    ]

    assert copies == [space] * 4
    larger = space.scaled(channels=12)
    assert (type(larger), larger.extra, larger.size()["channels"]) == (type(space), 3, 12)
    assert set(space.size()) == set(parent_of(space).size())


@pytest.mark.parametrize("space", [DERIVED[0], DERIVED[2]], ids=lambda space: space.name)
def test_a_size_that_it_has_not_is_refused_by_its_own_name(space):
    with pytest.raises(InputError, match=f"networks of the space '{space.name}'"):
        space.scaled(cells=3)


@each_space
def test_supernet_and_network_are_those_of_the_parent(space):
    parent, genotype, images = parent_of(space), space.random(Random(0)), torch.randn(2, 1, 8, 8)
    for make in (lambda own: own.supernet(SHAPE), lambda own: own.network(genotype, SHAPE)):
        logits = []
        for own in (space, parent):
            torch.manual_seed(0)
            logits.append(make(own)(images))
        assert torch.equal(*logits)


def test_a_subclass_without_the_decorator_is_a_space_of_its_own():
    space = Undecorated(cells=2)

    assert (space.name, space.genotype_space, space.scaled(cells=3).cells) == ("undecorated", "darts", 3)
    assert type(space.scaled(cells=3)) is Undecorated


class Small(ChoiceSpace):
    """A table of one choice."""

    name = "small"

    def choice_list(self):
        return (Choice("only", ("a", "b"), at_most=1),)

    def build(self, shape, pick):
        raise NotImplementedError


class DerivedSmall(Small):
    name = "derived-small"


class Sharing(Small):
    name = "sharing"
    genotypes_of = "small"


@pytest.mark.parametrize(("cls", "said"), [(Small, "small"), (DerivedSmall, "derived-small"), (Sharing, "small")])
def test_a_space_of_choices_has_genotypes_of_its_own_unless_it_declares_others(cls, said):
    genotype = cls().random(Random(0))

    assert genotype.space == said
    cls().check(genotype)
