"""Searches whose schedule asks for several supernets, one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine import train
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.assembly import assemble_search
from nasplug.engine.further_work import RecordedWork
from nasplug.engine.plain.labels import Labels
from nasplug.errors import InputError, RunFailure
from nasplug.parts import Batch, PruningSchedule, Stage, supernet_spaces
from nasplug.store.checkpoint import load_checkpoint, save_checkpoint
from nasplug.testing.toy import Toy
from nasplug.values import ImageShape, Training, Verdict

pytestmark = pytest.mark.slow

SHAPE = ImageShape(1, 8, 5)
SPACE = Darts(operations=("skip_connect", "max_pool_3x3", "avg_pool_3x3"), cells=3, nodes=1, channels=2)


class Noise:
    steps_per_epoch, batch_size = 2, 4

    def batch(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        return Batch(torch.randn(4, 1, 8, 8, generator=generator), torch.tensor([0, 1, 2, 3]))


@attrs.define
class Grows(PruningSchedule):
    """Three supernets of 3, 4 and 5 cells; each step deletes one candidate of the first choice, or what is asked."""

    static_graph = True

    deeper: tuple[int, ...] = (4, 5)
    rate: float = 0.0

    def later_spaces(self, space):
        return tuple(space.scaled(cells=cells) for cells in self.deeper)

    def skip_dropout(self, now):
        return self.rate

    def after_step(self, choices, now):
        doomed = torch.zeros_like(choices.kept)
        doomed[now.supernet, 0] = now.ends_supernet
        return Verdict(deleted=choices.delete(doomed))


class Twice(Labels):
    """Learns from labels in two stages, the second of which is twice as long."""

    def stages(self, net, shape, teacher):
        first, second = (*super().stages(net, shape, teacher), *super().stages(net, shape, teacher))
        second.length = 2
        return first, second


def begun(schedule=None, teacher=None, seed: int = 0, space=SPACE, begin: bool = True):
    optimizer = Bilevel(alpha_lr=0.1)
    parts = SimpleNamespace(
        space=space, optimizer=optimizer, schedule=schedule or Grows(), teacher=teacher or Labels(), selector=None
    )
    torch.manual_seed(seed)
    trainer = assemble_search(
        parts,
        space.supernet(SHAPE),
        SHAPE,
        Training(epochs=2, lr=0.1),
        {name: Noise() for name in optimizer.splits()},
        torch.device("cpu"),
        seed=seed,
    )
    if begin:
        trainer.begin(torch.Generator().manual_seed(seed))
    return trainer


def state(trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.net.state_dict().items()}


def assert_equal(one, other) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_each_supernet_is_deeper_and_goes_on_with_the_candidates_that_are_left():
    made = begun()
    seen = [(step.stage, len(made.net.cells), int(made.choices.kept.sum())) for step in train(made)]
    whole = len(SPACE.choice_list()) * 3
    lefts = [*[whole] * 3, *[whole - 1] * 4, *[whole - 2] * 4, whole - 3]  # the last step of each deletes one
    assert seen == [(step // 4, 3 + step // 4, left) for step, left in enumerate(lefts)]
    assert made.over
    assert (made.steps, made.steps_done) == (12, 12)


def test_weights_alpha_and_learning_rate_begin_anew():
    made = begun()
    rates, begins = [], []
    for _ in made.stages_left():
        assert not made.torch_optimizers.weights.state
        begins.append(state(made))
        for now in made.clock.since(0):
            made.train_step(now)
            rates.append(made.torch_optimizers.weights.param_groups[0]["lr"])
    assert rates == rates[:4] * 3
    first, second, third = begins
    # A function of the seed and the number alone, whatever was trained before.
    again = begun()
    again.enter_stage(2)
    for name, value in state(again).items():
        if name != "choices.kept":
            assert torch.equal(value, third[name]), name
    assert second["choices.alpha"].abs().max() < 0.01
    assert not torch.equal(second["choices.alpha"], first["choices.alpha"])
    other = begun(seed=1)
    other.enter_stage(2)
    assert not torch.equal(state(other)["classifier.weight"], third["classifier.weight"])


@pytest.mark.parametrize("stop", [1, 4, 5, 8, 11])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_search_that_is_stopped_in_any_stage_ends_bit_by_bit_alike(tmp_path, stop, rate):
    whole = begun(Grows(rate=rate))
    losses = [step.loss for step in train(whole)]
    stopped = begun(Grows(rate=rate))
    for step in train(stopped):
        if step.step == stop:
            break
    save_checkpoint(tmp_path / "checkpoint.safetensors", stopped, stop, 0.0)
    again = begun(Grows(rate=rate), begin=False)
    torch.manual_seed(99)
    load_checkpoint(tmp_path / "checkpoint.safetensors", again)
    assert_equal(state(again), state(stopped))
    assert [step.loss for step in train(again)] == losses[stop:]
    assert_equal(state(again), state(whole))


def test_a_new_supernet_draws_nothing_from_the_global_generator():
    made = begun()
    before = torch.get_rng_state()
    list(train(made))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_steps_ahead_of_the_host_are_the_same(rate):
    eager, ahead = begun(Grows(rate=rate)), begun(Grows(rate=rate))
    expected, found = list(train(eager)), list(train(ahead, AheadRunner(poll=3)))
    assert [step.record() for step in found] == [step.record() for step in expected]
    assert_equal(state(ahead), state(eager))


def test_every_supernet_is_trained_in_all_stages_of_the_teacher():
    made = begun(Grows(deeper=(4,)), Twice())
    ends, steps = [], []
    for step in train(made):
        steps.append(step.stage)
        ends.append(int(made.choices.kept.sum()))
    assert steps == [*[0] * 4, *[1] * 8, *[2] * 4, *[3] * 8]
    whole = ends[0]
    assert ends == [*[whole] * 11, *[whole - 1] * 12, whole - 2]  # at the ends of supernets, not of stages


class Longer(Twice):
    """Has other stages for deeper supernets."""

    def stages(self, net, shape, teacher):
        return super().stages(net, shape, teacher)[: 2 if len(net.cells) == 3 else 1]


def test_a_teacher_with_other_stages_for_another_supernet_is_refused():
    with pytest.raises(RunFailure, match="other stages for supernet 2"):
        list(train(begun(teacher=Longer())))


def test_the_last_supernet_is_trained_further_without_others():
    made = begun()
    list(train(made))
    further = []
    work = RecordedWork(
        made, lambda phase, training: made.streams, lambda trainer: further.append(trainer) or iter(()), None
    )
    list(work.fine_tune(made.choices.kept.clone(), epochs=1, lr_share=0.1))
    (tuned,) = further
    assert (tuned.plan.count, tuned.net, tuned.steps) == (1, made.net, 2)


def test_choices_that_depend_on_the_size_are_refused():
    with pytest.raises(InputError, match=r"Grows .* supernet 2 of the space 'darts' \(cells=4, .*depend on its size"):
        supernet_spaces(Grows(), attrs.evolve(SPACE, topology="per-cell"))
    assert supernet_spaces(Grows(deeper=()), SPACE) == (SPACE,)
    assert [space.cells for space in supernet_spaces(Grows(), SPACE)] == [3, 4, 5]


def test_dropout_where_there_are_no_skip_connections_is_a_failure():
    made = begun(Grows(deeper=(), rate=0.5), space=Toy(cells=1))
    with pytest.raises(RunFailure, match="dropout after skip connections"):
        made.set_rates(made.clock.at(0))


def test_a_loss_with_dropout_is_the_same_when_it_is_computed_twice():
    made = begun(Grows(deeper=(), rate=0.5))
    batch, stage = Noise().batch(0), made.present_stage
    losses = []
    for step in (0, 0, 1):
        now = made.clock.at(step)
        made.set_rates(now)
        losses.append(stage(made.net, batch, made.optimizer.updates(now)[0], now).item())
    assert losses[0] == losses[1] != losses[2]
    assert isinstance(stage, Stage)
