from __future__ import annotations

from typing import Any

import pytest
import torch
from nasplug_sd_darts.bank import Bank
from nasplug_sd_darts.voting import Voting, VotingStage
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Batch, Choice, Choices, Outputs, Supernet
from nasplug.values import ImageShape, StepClock, StepInfo, Update

SHAPE = ImageShape(1, 2, 3)
WEIGHTS = Update("train.weights", moves_weights=True, moves_alpha=False)
ALPHA = Update("train.alpha", moves_weights=False, moves_alpha=True)
CLOCK = StepClock(steps_per_epoch=2, epochs=5)


class Small(Supernet):
    """Three candidates for one linear map, and a batch norm with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = Choices([Choice("c", ("a", "b", "d"))])
        self.candidates = nn.ModuleDict({name: nn.Linear(4, 5) for name in "abd"})
        self.norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def outputs(self, images: Tensor) -> Outputs:
        weights, names = self.choices.weights()[0], ("a", "b", "d")
        terms = [
            weights[column] * self.candidates[names[column]](images.flatten(1))
            for column in self.choices.active_columns[0]
        ]
        return Outputs(self.head(self.norm(torch.stack(terms).sum(0)).tanh()), ())

    def prune(self) -> None:
        for name in set(self.candidates) - set(self.choices.active_names("c")):
            del self.candidates[name]


def fresh(seed: int = 0) -> Small:
    torch.manual_seed(seed)
    net = Small()
    with torch.no_grad():
        net.choices.alpha.normal_()
    return net


def stage_of(net: Supernet, **options: Any) -> VotingStage:
    (stage,) = Voting(**options).stages(net, SHAPE, None)
    assert isinstance(stage, VotingStage)
    return stage.train()


def changed(net: Small, seed: int) -> Small:
    """The network with everything that learns at other values."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter))
    return net


def batch(seed: int = 9) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(8, 1, 2, 2, generator=generator), torch.randint(3, (8,), generator=generator))


def taught(net: Small, stage: VotingStage, until: StepInfo) -> list[dict[str, Tensor]]:
    """Moves on to `until`, changing the network at every step; returns the states at the ends of all steps."""
    past = []
    for now in (CLOCK.at(step) for step in range(until.step)):
        changed(net, now.step)
        stage.after_step(net, now)
        past.append({name: value.clone() for name, value in net.state_dict().items()})
    return past


def test_the_loss_is_that_of_the_formula_with_the_states_of_the_last_epochs() -> None:
    net = fresh()
    stage = stage_of(net, teachers=2, start=1, ramp=0, temperature=4.0, weight=0.7, pace="paper")
    now = CLOCK.at(7)
    past = taught(net, stage, now)
    images = batch()
    loss = stage(net, images, WEIGHTS, now)

    softened = []
    for state in (past[3], past[5]):  # the ends of epochs 2 and 3
        teacher = fresh()
        teacher.load_state_dict(state)
        softened.append((teacher.train()(images.images) / 4).softmax(1))
    target = torch.stack(softened).mean(0).detach()
    logits = net(images.images)
    student = (logits / 4).log_softmax(1)
    distance = (target * (target.log() - student)).sum(1).mean()
    torch.testing.assert_close(loss, F.cross_entropy(logits, images.labels) + 0.7 * 16 * distance)


def test_states_have_the_present_alpha_if_asked() -> None:
    net = fresh()
    stage = stage_of(net, teachers=1, start=0, ramp=0, snapshot_alpha=False)
    (_, past) = taught(net, stage, CLOCK.at(2))
    changed(net, 5)
    teacher = fresh()
    teacher.load_state_dict(past | {"choices.alpha": net.choices.alpha.detach()})
    saved = {name: value.clone() for name, value in stage.state_dict().items()}
    heard = stage.bank.logits(net, batch().images, 1, own_alpha=False)
    torch.testing.assert_close(heard[0], teacher.train()(batch().images).detach())
    assert all(torch.equal(value, saved[name]) for name, value in stage.state_dict().items())
    assert not torch.allclose(heard, stage.bank.logits(net, batch().images, 1, own_alpha=True))


def test_the_oldest_state_goes_first_and_states_are_spaced() -> None:
    stage = stage_of(fresh(), teachers=2, interval=2)
    net, kept = fresh(), []
    clock = StepClock(steps_per_epoch=3, epochs=8)
    for now in clock.since(0):
        with torch.no_grad():
            net.head.bias.fill_(float(now.step))
        stage.after_step(net, now)
        kept.append([float(value[0]) for name, value in stage.state_dict().items() if name.endswith("head.bias")])
    initial = float(fresh().head.bias[0].detach())
    assert kept[4] == [initial, initial]
    assert kept[5] == kept[10] == [5.0, initial]
    assert kept[11] == kept[16] == [5.0, 11.0]
    assert kept[17] == kept[22] == [17.0, 11.0]
    assert kept[23] == [17.0, 23.0]
    assert [stage.voting.taken(clock.at(step)) for step in (0, 5, 6, 11, 12, 18)] == [0, 0, 1, 1, 2, 3]


def test_steps_can_be_counted_instead_of_epochs() -> None:
    voting = Voting(interval=5, interval_unit="step")
    assert [voting.taken(StepClock(100, 1).at(step)) for step in (0, 4, 5, 9, 10)] == [0, 0, 1, 1, 2]


def test_a_moving_average() -> None:
    net = fresh()
    stage = stage_of(net, teachers=1, interval_unit="step", average=0.75)
    averaged: Tensor | None = None
    for now in (CLOCK.at(step) for step in range(4)):
        changed(net, now.step)
        stage.after_step(net, now)
        present = net.head.weight.detach()
        averaged = present.clone() if averaged is None else 0.75 * averaged + 0.25 * present
        state = stage.bank.states[0]
        assert isinstance(state, Small)
        torch.testing.assert_close(state.head.weight, averaged)


def test_votes_wait_for_the_start_and_then_grow() -> None:
    voting, clock = Voting(weight=0.5, start=2, ramp=2, pace="paper"), StepClock(steps_per_epoch=4, epochs=10)
    shares = [voting.share(clock.at(step)) for step in range(40)]
    assert shares[:8] == [0.0] * 8
    assert shares[8:16] == pytest.approx([0.5 * n / 8 for n in range(1, 9)])
    assert set(shares[16:]) == {0.5}
    assert Voting(weight=0.5, start=2, ramp=0, pace="paper").share(clock.at(8)) == 0.5


def test_start_and_ramp_follow_the_length_of_the_search() -> None:
    usual, short = StepClock(steps_per_epoch=40, epochs=50), StepClock(steps_per_epoch=40, epochs=5)
    paper, fitted = Voting(pace="paper"), Voting()
    assert [paper.share(usual.at(step)) for step in range(2000)] == [
        fitted.share(usual.at(step)) for step in range(2000)
    ]
    assert fitted.share(short.at(19)) == 0
    assert fitted.share(short.at(20)) == pytest.approx(0.3 / 20)
    assert fitted.share(short.at(39)) == pytest.approx(0.3)
    assert paper.share(short.at(199)) == 0


def test_without_a_state_there_are_only_labels() -> None:
    net = fresh()
    stage = stage_of(net, start=0, ramp=0)
    plain = F.cross_entropy(net(batch().images), batch().labels)
    assert torch.equal(stage(net, batch(), WEIGHTS, CLOCK.at(1)), plain)
    taught(net, stage, CLOCK.at(2))
    plain = F.cross_entropy(net(batch().images), batch().labels)
    torch.testing.assert_close(stage(net, batch(), WEIGHTS, CLOCK.at(2)), plain)  # the network is its own teacher
    changed(net, 5)
    plain = F.cross_entropy(net(batch().images), batch().labels)
    assert not torch.isclose(stage(net, batch(), WEIGHTS, CLOCK.at(2)), plain)


@pytest.mark.parametrize(
    ("learns", "learning"), [("weights", {WEIGHTS}), ("alpha", {ALPHA}), ("both", {WEIGHTS, ALPHA})]
)
def test_who_learns(learns: str, learning: set[Update]) -> None:
    net = fresh()
    stage = stage_of(net, start=0, ramp=0, learns=learns)
    taught(net, stage, CLOCK.at(2))
    changed(net, 5)
    plain = F.cross_entropy(net(batch().images), batch().labels)
    for update in (WEIGHTS, ALPHA):
        assert torch.equal(stage(net, batch(), update, CLOCK.at(2)), plain) == (update not in learning)
    together = Update("train", moves_weights=True, moves_alpha=True)
    assert not torch.equal(stage(net, batch(), together, CLOCK.at(2)), plain)


def test_only_the_network_gets_a_gradient_and_nothing_of_the_past_moves() -> None:
    net = fresh()
    stage = stage_of(net, start=0, ramp=0)
    taught(net, stage, CLOCK.at(4))
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    stage(net, batch(), WEIGHTS, CLOCK.at(4)).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in (net.head.weight, net.choices.alpha))
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in stage.parameters())
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())


def test_batch_norms_of_the_past_use_the_batch_and_keep_nothing() -> None:
    net = fresh()
    stage = stage_of(net, teachers=1)
    taught(net, stage, CLOCK.at(2))
    images = batch().images
    together = stage.bank.logits(net, images, 1, own_alpha=True)[0]
    apart = torch.cat([stage.bank.logits(net, half, 1, own_alpha=True)[0] for half in images.split(4)])
    assert not torch.allclose(together, apart)
    assert torch.equal(stage.eval().bank.logits(net, images, 1, own_alpha=True)[0], together)
    assert not any("running" in name for name in stage.state_dict())


def test_the_mask_and_the_weighing_of_this_step_hold_for_the_past() -> None:
    net = fresh()
    stage = stage_of(net, teachers=1)
    taught(net, stage, CLOCK.at(2))
    teacher = fresh()
    teacher.load_state_dict({name: value.clone() for name, value in net.state_dict().items()})

    def doubled(alpha: Tensor, active: Tensor) -> Tensor:
        return (2 * alpha).masked_fill(~active, -1e9).softmax(-1)

    net.choices.relaxation = teacher.choices.relaxation = doubled
    mask = torch.tensor([[True, False, True]])
    changed(net, 4)
    with net.choices.only(mask), teacher.choices.only(mask):
        heard = stage.bank.logits(net, batch().images, 1, own_alpha=True)
        torch.testing.assert_close(heard[0], teacher.train()(batch().images).detach())
    assert not torch.allclose(heard, stage.bank.logits(net, batch().images, 1, own_alpha=True))


def test_the_past_keeps_what_was_deleted_since() -> None:
    net = fresh()
    bank = Bank(net, 2, average=0.0).train()
    bank.renew(net, 0)
    before = bank.logits(net, batch().images, 1, own_alpha=True)
    net.choices.delete(torch.tensor([[False, True, False]]))
    net.prune()
    assert torch.equal(bank.logits(net, batch().images, 1, own_alpha=True), before)
    bank.renew(net, 1)
    first, second = bank.states
    assert isinstance(first, Small)
    assert isinstance(second, Small)
    assert (set(first.candidates), set(second.candidates)) == ({"a", "b", "d"}, {"a", "d"})
    torch.testing.assert_close(
        bank.logits(net, batch().images, 2, own_alpha=True)[1], net.train()(batch().images).detach()
    )


def test_a_saved_bank_is_loaded_whatever_was_deleted() -> None:
    net = fresh()
    stage = stage_of(net, teachers=3, start=0, ramp=0)
    taught(net, stage, CLOCK.at(2))
    net.choices.delete(torch.tensor([[False, True, False]]))
    net.prune()
    stage.after_step(net, CLOCK.at(3))
    expected = stage(net, batch(), WEIGHTS, CLOCK.at(4))

    again = fresh(1)
    other = stage_of(again, teachers=3, start=0, ramp=0)
    again.choices.kept.copy_(net.choices.kept)
    again.choices.refresh()
    again.prune()
    again.load_state_dict(net.state_dict())
    other.load_state_dict(stage.state_dict())
    assert torch.equal(other(again, batch(), WEIGHTS, CLOCK.at(4)), expected)
    changed(net, 6)
    changed(again, 6)
    for past, owner in ((stage, net), (other, again)):
        past.after_step(owner, CLOCK.at(5))
    assert torch.equal(other(again, batch(), WEIGHTS, CLOCK.at(6)), stage(net, batch(), WEIGHTS, CLOCK.at(6)))


def test_the_loss_is_float32_under_mixed_precision() -> None:
    net = fresh()
    stage = stage_of(net, start=0, ramp=0)
    taught(net, stage, CLOCK.at(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert stage(net, batch(), WEIGHTS, CLOCK.at(2)).dtype == torch.float32
        assert stage.bank.logits(net, batch().images, 1, own_alpha=True).dtype == torch.float32


def test_an_infinite_distance_is_refused() -> None:
    with pytest.raises(InputError, match=r"infinite.*vote='soft'"):
        Voting(vote="hard", direction="student-teacher")
