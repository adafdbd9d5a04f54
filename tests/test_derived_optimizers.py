"""Optimizers derived from the built-in ones."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import attrs
import pytest
import torch
from torch import Tensor

from nasplug.optimizers import Bilevel, OneLevel, RandomSearch, SinglePath
from nasplug.parts import ArchitectureOptimizer, Choice, Choices, key_of, option
from nasplug.plugins import load_plugins
from nasplug.values import StepClock, StepInfo, Update
from nasplug.values.options import build, option_fields, option_values

PARENTS = {"bilevel": Bilevel, "one-level": OneLevel, "random": RandomSearch, "single-path": SinglePath}


def derive(parent: type[ArchitectureOptimizer]) -> type[ArchitectureOptimizer]:
    """A subclass with an option of its own."""
    body = {"__annotations__": {"extra": int}, "extra": option(1, "an option of its own", at_least=1)}
    return attrs.define(type(f"Derived{parent.__name__}", (parent,), body))


def test_the_public_classes_are_those_that_are_registered():
    plugins = load_plugins()
    for name, cls in PARENTS.items():
        assert plugins.resolve(plugins.find("optimizer", name)) is cls


@pytest.mark.parametrize("parent", PARENTS.values())
def test_options_are_inherited_and_copies_keep_all(parent):
    derived = derive(parent)(extra=3)

    assert set(option_fields(type(derived))) == {*option_fields(parent), "extra"}
    assert build(type(derived), option_values(derived), "copy") == attrs.evolve(derived) == derived
    updates = derived.updates(StepClock(2, 2).at(1))
    assert updates == parent().updates(StepClock(2, 2).at(1))


def test_alpha_and_its_torch_optimizer_are_those_of_the_parent():
    choices, other = (Choices([Choice("a", ("x", "y"))]) for _ in range(2))
    for optimizer, table in ((Bilevel(), choices), (derive(Bilevel)(), other)):
        optimizer.initialise(table, torch.Generator().manual_seed(3))
    adam = derive(Bilevel)(alpha_lr=0.5).make_alpha_optimizer(choices.alpha)

    assert torch.equal(choices.alpha, other.alpha)
    assert (type(adam), adam.defaults["lr"]) == (torch.optim.Adam, 0.5)


class Sharper(OneLevel):
    """Overrides `relax` and says nothing about graphs."""

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        return OneLevel.relax(self, alpha.square(), active)


class SharperStatic(Sharper):
    static_graph = True


class EveryOther(Bilevel):
    def updates(self, now: StepInfo) -> Sequence[Update]:
        return Bilevel.updates(self, now)[now.step % 2 :]


def test_a_subclass_that_overrides_relax_is_replayed_only_if_it_says_so():
    now = StepClock(2, 2).at(0)
    keys = [key_of(part, now, methods=("relax",)) for part in (OneLevel(), Sharper(), SharperStatic(), EveryOther())]

    assert keys == [(), None, (), ()]
    copy = pickle.loads(pickle.dumps(Sharper(alpha_lr=0.3)))  # noqa: S301
    assert copy == Sharper(alpha_lr=0.3)
