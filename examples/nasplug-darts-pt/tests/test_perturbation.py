"""The order of decisions and what each looks at, on a supernet whose errors are a formula."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
import torch
from nasplug_darts_pt.perturbation import SPLIT, Perturbation
from torch import nn

from nasplug.parts import Choice, SearchState
from nasplug.supernets import ChoiceSpace
from nasplug.testing.toy import Toy
from nasplug.values import Evaluated, Found, ImageShape

SHAPE = ImageShape(channels=2, size=8, classes=2)


@attrs.define
class Formula:
    """Evaluates a supernet whose loss is the sum of what is missing, and counts its trainings.

    The error is the loss in tenths, rounded down, so that some errors are equal.
    """

    worth: torch.Tensor
    tuned: list[tuple[torch.Tensor, int, float]] = attrs.field(factory=list)
    evaluated: list[torch.Tensor] = attrs.field(factory=list)

    def fine_tune(self, candidates, epochs, lr_share):
        self.tuned.append((candidates.clone(), epochs, lr_share))
        return iter(())

    def evaluate(self, candidates, calibration, held_out):
        self.evaluated.append(candidates.clone())
        loss = float(self.worth[~candidates].sum())
        yield Evaluated(len(self.tuned), "", 1, loss, int(10 * loss) / 10)
        return Evaluated(len(self.tuned), "", 1, loss, int(10 * loss) / 10)


def state_of(space, worth, seed: int = 0) -> SearchState:
    torch.manual_seed(0)
    net = space.supernet(SHAPE)
    return SearchState(space, SHAPE, net, (), lambda split, count: iter(()), seed, work=Formula(worth))


def found(selector, state) -> Found:
    *others, last = selector.select(state)
    assert all(isinstance(event, Evaluated) for event in others)
    return last


@pytest.mark.parametrize("seed", range(3))
def test_the_candidate_that_is_missed_most_stays_in_every_choice(seed):
    space = Toy(cells=4)
    generator = torch.Generator().manual_seed(seed)
    worth = torch.rand(4, 4, generator=generator)
    state = state_of(space, worth, seed)
    event = found(Perturbation(), state)
    held = space.encode(event.genotype, state.net.choices)
    assert held.float().argmax(1).tolist() == worth.argmax(1).tolist()
    kept = (worth * held).sum()
    assert event.measures["supernet_error"] == pytest.approx(int(10 * float(worth.sum() - kept)) / 10)


def test_of_equal_errors_the_larger_loss_decides():
    worth = torch.tensor([[0.01, 0.02, 0.04, 0.03]] * 2)
    event = found(Perturbation(), state_of(Toy(cells=2), worth))
    assert event.genotype == Toy(cells=2).parse(" ".join([Toy(cells=2).choice_list()[0].candidates[2]] * 2))


def test_the_supernet_is_tuned_after_each_decision_with_what_is_left():
    state = state_of(Toy(cells=3), torch.rand(3, 4, generator=torch.Generator().manual_seed(0)))
    found(Perturbation(epochs=2, lr_share=0.5), state)
    work = state.work
    assert [int(mask.sum()) for mask, _, _ in work.tuned] == [9, 6, 3]
    assert {(epochs, lr_share) for _, epochs, lr_share in work.tuned} == {(2, 0.5)}
    assert [int(mask.sum()) for mask in work.evaluated] == [11] * 4 + [8] * 4 + [5] * 4 + [3]
    for (wider, _, _), (narrower, _, _) in pairwise(work.tuned):
        assert not (narrower & ~wider).any()
    untuned = state_of(Toy(cells=3), torch.ones(3, 4))
    found(Perturbation(epochs=0), untuned)
    assert untuned.work.tuned == []


def test_the_order_of_decisions_is_a_function_of_the_seed():
    def order(seed: int) -> list[int]:
        state = state_of(Toy(cells=6), torch.rand(6, 4, generator=torch.Generator().manual_seed(0)), seed)
        found(Perturbation(), state)
        return [int((before & ~after).any(1).nonzero().flatten()[0]) for before, after in _pairs(state)]

    def _pairs(state):
        masks = [state.net.choices.valid_mask, *(mask for mask, _, _ in state.work.tuned)]
        return pairwise(masks)

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(6))


def test_where_genotypes_leave_edges_out_the_two_that_are_missed_most_stay():
    darts = pytest.importorskip("nasplug.builtin.darts").Darts(
        cells=3, nodes=2, channels=2, choices="edge", topology="per-type", operations=("skip_connect", "sep_conv_3x3")
    )
    choices = darts.choice_list()
    torch.manual_seed(0)
    worth = torch.zeros(len(choices), 2)
    for row, choice in enumerate(choices):
        worth[row, row % 2] = 1 + row / 100  # of the three edges of a node, the last two are missed most
        assert len(choice.candidates) == 2
    shape = ImageShape(channels=1, size=8, classes=2)
    net = darts.supernet(shape)
    state = SearchState(darts, shape, net, (), lambda split, count: iter(()), 0, work=Formula(worth))
    held = darts.encode(found(Perturbation(), state).genotype, net.choices)
    edges = [row for row in range(len(choices)) if held[row].any()]
    names = [choices[row].name for row in edges]
    assert [name for name in names if name.startswith("normal/3")] == ["normal/3<-1", "normal/3<-2"]
    assert [name for name in names if name.startswith("reduce/3")] == ["reduce/3<-1", "reduce/3<-2"]
    assert all(held[row].nonzero().flatten().tolist() == [row % 2] for row in edges)


@attrs.define
class Pairs(ChoiceSpace):
    """Two of four convolutions, then one of two."""

    name = "pairs"

    def choice_list(self):
        several = Choice("several", ("a", "b", "c", "d"), at_least=2, at_most=2)
        return (several, Choice("one", ("e", "f"), at_most=1))

    def build(self, shape, pick):
        several, one = (
            pick(name, lambda _: nn.Conv2d(shape.channels, shape.channels, 1)) for name in ("several", "one")
        )
        return nn.Sequential(several, one, nn.Flatten(), nn.Linear(shape.channels * shape.size**2, shape.classes))


@pytest.mark.parametrize("seed", range(3))
def test_of_a_choice_that_holds_several_those_that_are_missed_most_stay(seed):
    worth = torch.rand(2, 4, generator=torch.Generator().manual_seed(seed))
    worth[1, 2:] = 0.0
    state = state_of(Pairs(), worth, seed)
    picks = dict(found(Perturbation(), state).genotype.picks)
    best = sorted(range(4), key=lambda column: -worth[0, column])[:2]
    assert picks["several"] == tuple(sorted("abcd"[column] for column in best))
    assert picks["one"] == ("ef"[int(worth[1, 1] > worth[1, 0])],)
    assert sorted(int(mask[0].sum()) for mask, _, _ in state.work.tuned) in ([2, 2], [2, 4])


def test_images_are_those_of_its_own_share():
    assert Perturbation(share=0.3).splits() == {SPLIT: 0.3}
