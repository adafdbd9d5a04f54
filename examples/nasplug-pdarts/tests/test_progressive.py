"""The schedule: how deep supernets are, what is given up between them, and how much dropout there is."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from nasplug_pdarts.progressive import Progressive

from nasplug.errors import InputError
from nasplug.parts import Choice, Choices
from nasplug.plugins import load_plugins
from nasplug.values import StepClock

SMALL = Progressive(cells=(4, 5), keep=(3, 2), dropout=(0.0, 0.4, 0.7), decay=0.2, warm_up=2)


def space_of(name: str, **options):
    plugins = load_plugins()
    return plugins.resolve(plugins.find("space", name))(**options)


def clock_of(supernet: int, **options) -> StepClock:
    return StepClock(2, 5, stage=supernet, supernet=supernet, **options)


def test_the_strongest_candidates_stay_when_a_supernet_ends() -> None:
    choices = Choices([Choice(name, ("none", "skip", "conv", "pool")) for name in ("one", "two")])
    choices.alpha.data = torch.tensor([[0.1, 0.4, 0.9, 0.2], [0.5, 0.5, 0.5, 0.1]])
    deleted = [int(SMALL.after_step(choices, now).deleted) for now in clock_of(0).since(0)]
    assert deleted == [0] * 9 + [2]
    assert [choices.active_names(name) for name in ("one", "two")] == [
        ("skip", "conv", "pool"),
        ("none", "skip", "conv"),
    ]
    choices.alpha.data = torch.tensor([[9.0, 0.4, 0.1, 0.2], [0.0, 0.5, 0.6, 9.0]])  # what is deleted stays so
    assert [int(SMALL.after_step(choices, now).deleted) for now in clock_of(1).since(0)][-1] == 2
    assert [choices.active_names(name) for name in ("one", "two")] == [("skip", "pool"), ("skip", "conv")]
    assert not any(int(SMALL.after_step(choices, now).deleted) for now in clock_of(2).since(0))


def test_nothing_is_given_up_between_stages_of_one_supernet() -> None:
    choices = Choices([Choice("one", ("none", "skip", "conv", "pool"))])
    first = clock_of(0, last_of_supernet=False)
    assert not any(int(SMALL.after_step(choices, now).deleted) for now in first.since(0))


def test_dropout_falls_linearly_while_alpha_rests_and_exponentially_from_its_start_on() -> None:
    rates = [[SMALL.skip_dropout(clock_of(supernet).at(2 * epoch)) for epoch in range(5)] for supernet in range(3)]
    shape = [4 / 5, 3 / 5, 1.0, math.exp(-0.2), math.exp(-0.4)]
    assert rates[0] == [0.0] * 5
    assert rates[1] == pytest.approx([0.4 * share for share in shape])
    assert rates[2] == pytest.approx([0.7 * share for share in shape])


def test_later_supernets_have_the_same_choices_and_more_cells() -> None:
    space = space_of("darts", cells=3)
    assert [later.cells for later in SMALL.later_spaces(space)] == [4, 5]
    assert all(later.choice_list()[0].name == "normal/2<-0" for later in SMALL.later_spaces(space))


def test_other_spaces_are_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="cells have choices of their own; take --space darts"):
        SMALL.later_spaces(space_of("darts", cells=3, topology="per-cell"))
    with pytest.raises(InputError, match="which the space 'mbconv' does not allow"):
        SMALL.later_spaces(space_of("mbconv"))
    nb201 = space_of("nb201", cells=1)
    with pytest.raises(InputError, match="dropout after skip connections"):
        SMALL.later_spaces(nb201)
    assert len(attrs.evolve(SMALL, dropout=(0.0, 0.0, 0.0)).later_spaces(nb201)) == 2


def test_options_must_be_as_many_as_there_are_supernets() -> None:
    with pytest.raises(InputError, match="makes 3 supernets, which need 2 numbers of candidates and 3 rates"):
        Progressive(keep=(5, 3, 1))
    with pytest.raises(InputError, match="makes 2 supernets"):
        Progressive(cells=(11,))
