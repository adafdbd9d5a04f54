"""Steps made ahead of the host, and replayed steps, are the steps that one at a time would have been."""

from __future__ import annotations

import attrs
import pytest
import torch

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine import EagerRunner, Trainer
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.plain.keep import Keep
from nasplug.parts import Choices, PruningSchedule
from nasplug.testing.tape import Asked, NoQuestions, TapeRecorder
from nasplug.values import Step, StepInfo, Verdict
from tests.engine.searches import (
    CPU,
    EDGES,
    NODES,
    SEARCHES,
    STEPS,
    Noise,
    ahead,
    assert_same,
    carried_out,
    first_order,
    trainer,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=SEARCHES)
def eager(request):
    """The name of a search, and the search carried out one step at a time."""
    plain = SEARCHES[request.param]()
    return request.param, plain, carried_out(plain, EagerRunner())


@pytest.mark.parametrize(("poll", "recorded"), [(4, False), (1, True), (16, True)])
def test_going_ahead_and_replaying_change_nothing(eager, poll, recorded):
    name, plain, expected = eager
    quick = SEARCHES[name]()
    runner = ahead(poll, TapeRecorder() if recorded else None)
    found = carried_out(quick, runner)
    assert_same(plain, expected, quick, found)
    if name != "first order":
        assert not plain.choices.kept.all()
        assert expected[-1].stop
        assert poll == 1 or expected[-1].step % poll  # there were steps beyond the end to go back from
    if recorded:
        assert runner.graph_cache.replayed > 5
        assert not runner.graph_cache.refused
    if name == "first order" and recorded:
        assert runner.graph_cache.recorded == 2  # one for each update, and never again


@pytest.mark.parametrize("name", SEARCHES)
def test_between_two_reads_nothing_is_asked_of_the_device(name):
    made = SEARCHES[name]()
    made.begin(torch.Generator().manual_seed(1))

    def counters() -> list[torch.Tensor]:  # Adam counts its steps on the host
        states = [*made.torch_optimizers.weights.state.values(), *made.torch_optimizers.alpha.state.values()]
        return [state["step"] for state in states if "step" in state]

    runner = ahead(16)
    with NoQuestions(counters):
        for step in range(3):
            runner.make_step(made, made.clock.at(step))
        with pytest.raises(Asked):
            bool(made.choices.kept.any())


@attrs.define
class Gone(PruningSchedule):
    """Deletes one candidate of each choice after every step, without asking."""

    static_graph = True

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        doomed = torch.zeros_like(choices.kept)
        doomed[:, now.step % doomed.shape[1]] = True
        return Verdict(deleted=choices.delete(doomed), snapshot={"deleted": choices.kept.sum() > 0})


@pytest.mark.parametrize(
    "space",
    [EDGES, NODES, NasBench201(channels=4, cells=1), MBConvSpace(channels=4, kernels=(3, 5), expansions=(3,))],
    ids=str,
)
def test_what_is_deleted_between_two_reads_is_in_the_snapshots_of_its_step(space):
    plain, quick = (trainer(space, Bilevel(alpha_lr=0.1), Gone(), epochs=1) for _ in range(2))
    expected, found = carried_out(plain, EagerRunner()), carried_out(quick, ahead(6))
    assert [step.snapshot for step in found] == [step.snapshot for step in expected]
    assert [step.measures for step in found] == [step.measures for step in expected]
    assert [step.loss for step in found] == pytest.approx([step.loss for step in expected], rel=1e-7)
    assert found[0].measures["deleted"] > 0
    assert torch.equal(plain.choices.kept, quick.choices.kept)
    assert plain.choices.computed_columns == quick.choices.computed_columns == quick.choices.active_columns


@attrs.define
class Unknown(Gone):
    """The same, and does not say that its operations are the same in every step."""

    static_graph = False


def test_with_a_part_that_is_not_static_every_step_is_read():
    made = trainer(EDGES, Bilevel(), Unknown(), epochs=1)
    runner = ahead(16, TapeRecorder())
    made.begin(torch.Generator().manual_seed(1))
    assert [len(steps) for steps in runner.run(made)] == [1] * STEPS
    assert runner.graph_cache.recorded == 0


class Refusing(TapeRecorder):
    """A device that takes no recordings."""

    def record(self, compute):
        compute()
        raise RuntimeError("operation not permitted when stream is capturing\nand so on")


def test_a_device_that_takes_no_recording_computes_step_by_step():
    plain, quick = first_order(), first_order()
    expected = carried_out(plain, EagerRunner())
    runner = ahead(4, Refusing())
    quick.begin(torch.Generator().manual_seed(1))
    found = [step for steps in runner.run(quick) for step in steps]
    assert [step.loss for step in found] == [step.loss for step in expected]
    assert runner.status == "not recorded (operation not permitted when stream is capturing)"


def test_a_tape_would_show_a_number_that_was_baked_in():
    """The tests above can fail: a factor that is a number of Python keeps the value that it had when recorded."""
    factor, given = [1.0], [torch.ones(2)]
    result, replay = TapeRecorder().record(lambda: given[0] * factor[0])
    replay()
    assert result.tolist() == [1.0, 1.0]
    factor[0] = 3.0
    given[0].mul_(2)
    replay()
    assert result.tolist() == [2.0, 2.0]
    given.clear()
    with pytest.raises(Asked, match="was freed"):
        replay()
    y = torch.ones(2)
    with pytest.raises(Asked):
        TapeRecorder().record(lambda: y * float(y.sum()))
    with pytest.raises(Asked):
        TapeRecorder().record(lambda: y * torch.tensor([1.0, 2.0]))


def recorded(made: Trainer) -> tuple[AheadRunner, list[Step]]:
    runner = ahead(6, TapeRecorder())
    return runner, carried_out(made, runner)


@pytest.mark.parametrize("space", [EDGES, NasBench201(channels=4, cells=1)], ids=["darts", "nb201"])
def test_what_a_recording_reads_outlives_passes_through_a_part_of_the_supernet(space):
    made = trainer(space, Bilevel(alpha_lr=0.1), Keep(), epochs=3)
    mask = made.choices.valid_mask.clone()
    mask[:, 0] = False

    def measure(now: StepInfo) -> dict[str, float]:
        with torch.no_grad(), made.choices.only(mask):
            return {"mean": float(made.net(Noise(CPU).batch(0).images).mean())} if now.ends_epoch else {}

    made.measure = measure
    runner, events = recorded(made)
    assert [bool(event.measures.get("mean")) for event in events] == ([False] * 5 + [True]) * 3
    assert runner.graph_cache.recorded == 2


def test_the_host_reads_what_is_kept_once_in_a_group(monkeypatch):
    made, reads = SEARCHES["shrinking"](), []
    refresh = Choices.refresh
    monkeypatch.setattr(Choices, "refresh", lambda choices: (reads.append(made.step), refresh(choices)))
    runner, events = recorded(made)
    deleting = {event.step for event in events if event.measures["deleted"]}
    assert len(deleting) > 8
    assert all(step % STEPS == 0 or step == made.step for step in reads)
    assert runner.graph_cache.recorded <= len(set(reads)) + 1


@attrs.define
class Annealed(Bilevel):
    """Inherits the word of Bilevel that its weights depend on tensors alone, and takes a number of Python."""

    heat: float = attrs.field(init=False, default=1.0)

    def updates(self, now):
        self.heat = 1 / (1 + now.step)
        return Bilevel.updates(self, now)

    def relax(self, alpha, active):
        return Bilevel.relax(self, alpha / self.heat, active)


def test_a_key_that_was_inherited_past_a_change_is_not_believed():
    made = trainer(EDGES, Annealed(alpha_lr=0.1), Keep(), epochs=1)
    runner, _ = recorded(made)
    assert runner.graph_cache.recorded == 0


@attrs.define
class Counts(PruningSchedule):
    """Keeps a tensor that it writes to, and a list; ends the search in the fifth step; knows no key in the third."""

    level: torch.Tensor = attrs.field(init=False, factory=lambda: torch.zeros(()), converter=torch.as_tensor)
    seen: list[int] = attrs.field(init=False, factory=list)
    unknown: bool = False

    static_graph = True

    def graph_key(self, now):
        return None if self.unknown and now.step == 2 else ()

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        self.level.add_(1)
        self.seen.append(now.step)
        return Verdict(stop=self.level == 5, measures={"level": self.level, "seen": len(self.seen)})


@pytest.mark.parametrize("unknown", [False, True])
def test_a_tensor_that_is_written_to_is_told_as_it_was_in_its_step(unknown):
    made = trainer(EDGES, Bilevel(), Counts(unknown=unknown), epochs=1)
    made.begin(torch.Generator().manual_seed(1))
    groups = list(ahead(6).run(made))
    assert [step.measures["level"] for steps in groups for step in steps] == [1, 2, 3, 4, 5]
    assert [step.measures["seen"] for steps in groups for step in steps] == [1, 2, 3, 4, 5]
    assert made.schedule.seen == [0, 1, 2, 3, 4]
    assert [len(steps) for steps in groups] == ([2, 1, 2] if unknown else [5])


def test_nothing_is_measured_after_a_loss_that_is_no_number():
    made = trainer(EDGES, Bilevel(), Keep(), epochs=1, lr=1e30)
    made.measure = lambda now: pytest.fail("measured")
    made.begin(torch.Generator().manual_seed(1))
    assert any(step.loss != step.loss for steps in ahead(6).run(made) for step in steps)
