"""Steps made ahead of the host, and replayed steps, are the steps that one at a time would have been."""

from __future__ import annotations

import attrs
import pytest
import torch

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine import Replays, make_step, settled
from nasplug.parts import Choices, PruningSchedule
from nasplug.testing.tape import Asked, NoQuestions, TapeRecorder
from nasplug.values import Now, Verdict
from tests.engine.searches import EDGES, NODES, SEARCHES, STEPS, assert_same, carried_out, first_order, phase


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(("poll", "recorded"), [(4, False), (1, True), (16, True)])
def test_going_ahead_and_replaying_change_nothing(name, poll, recorded):
    plain, quick = SEARCHES[name](), SEARCHES[name]()
    expected = carried_out(plain, poll=1)
    found = carried_out(quick, poll, TapeRecorder() if recorded else None)
    assert_same(plain, expected, quick, found)
    if name != "first order":
        assert not plain.choices.kept.all()
        assert expected[-1].stop
        assert poll == 1 or expected[-1].step % poll  # there were steps beyond the end to go back from
    if recorded:
        assert quick.replays.replayed > 5
        assert not quick.replays.refused
    if name == "first order" and recorded:
        assert quick.replays.recorded == 2  # one for each turn, and never again


@pytest.mark.parametrize("name", SEARCHES)
def test_between_two_looks_nothing_is_asked_of_the_device(name):
    made = SEARCHES[name]()
    made.begin(torch.Generator().manual_seed(1))

    def counters() -> list[torch.Tensor]:  # Adam counts its steps on the host
        states = [*made.movers.weights.state.values(), *made.movers.alpha.state.values()]
        return [state["step"] for state in states if "step" in state]

    with NoQuestions(counters):
        for step in range(3):
            make_step(made, made.stages[0], made.clock.at(step))
        with pytest.raises(Asked):
            bool(made.choices.kept.any())


@attrs.define
class Gone(PruningSchedule):
    """Deletes one candidate of each choice after every step, without asking."""

    def graph_key(self, now):
        return ()

    def after_step(self, choices: Choices, now: Now) -> Verdict:
        doomed = torch.zeros_like(choices.kept)
        doomed[:, now.step % doomed.shape[1]] = True
        return Verdict(deleted=choices.delete(doomed), snapshot={"deleted": choices.kept.sum() > 0})


@pytest.mark.parametrize(
    "space",
    [EDGES, NODES, NasBench201(channels=4, cells=1), MBConvSpace(channels=4, kernels=(3, 5), expansions=(3,))],
    ids=str,
)
def test_what_is_deleted_between_two_looks_is_in_the_snapshots_of_its_step(space):
    plain, quick = (phase(space, Bilevel(alpha_lr=0.1), Gone(), epochs=1) for _ in range(2))
    expected, found = carried_out(plain, poll=1), carried_out(quick, poll=6)
    assert [each.snapshot for each in found] == [each.snapshot for each in expected]
    assert [each.measures for each in found] == [each.measures for each in expected]
    assert [each.loss for each in found] == pytest.approx([each.loss for each in expected], rel=1e-7)
    assert found[0].measures["deleted"] > 0
    assert torch.equal(plain.choices.kept, quick.choices.kept)
    assert plain.choices.computed == quick.choices.computed == quick.choices.alive


@attrs.define
class Unknown(Gone):
    """The same, and does not say what its operations depend on."""

    def graph_key(self, now):
        return None


def test_with_a_part_that_does_not_know_every_step_is_looked_at():
    made = phase(EDGES, Bilevel(), Unknown(), epochs=1)
    made.poll, made.replays = 16, Replays(TapeRecorder())
    made.begin(torch.Generator().manual_seed(1))
    assert [len(steps) for steps in settled(made)] == [1] * STEPS
    assert made.replays.recorded == 0


class Refusing(TapeRecorder):
    """A device that takes no recordings."""

    def record(self, compute):
        compute()
        raise RuntimeError("operation not permitted when stream is capturing\nand so on")


def test_a_device_that_takes_no_recording_computes_step_by_step():
    plain, quick = first_order(), first_order()
    expected = carried_out(plain, poll=1)
    quick.poll, quick.replays = 4, Replays(Refusing())
    quick.begin(torch.Generator().manual_seed(1))
    found = [step for steps in settled(quick) for step in steps]
    assert [step.loss for step in found] == [step.loss for step in expected]
    assert str(quick.replays) == "not recorded (operation not permitted when stream is capturing)"


def test_a_tape_would_show_a_number_that_was_baked_in():
    """The tests above can fail: a factor that is a number of Python keeps the value that it had when recorded."""
    factor, x = [1.0], torch.ones(2)
    result, replay = TapeRecorder().record(lambda: x * factor[0])
    factor[0] = 3.0
    x.mul_(2)
    replay()
    assert result.tolist() == [2.0, 2.0]
    with pytest.raises(Asked):
        TapeRecorder().record(lambda: x * float(x.sum()))
    with pytest.raises(Asked):
        TapeRecorder().record(lambda: x * torch.tensor([1.0, 2.0]))
