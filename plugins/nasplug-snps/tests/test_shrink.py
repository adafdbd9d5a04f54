from __future__ import annotations

import importlib.util
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
import torch
from nasplug_snps.shrink import Shrink

from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, option, read_state, supernet_spaces, write_state
from nasplug.testing.toy.space import Toy
from nasplug.values import StepClock, Verdict


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("specification", Path(__file__).with_name("specification.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


specification = _load()


def supernet(cells: int, operations: int) -> Choices:
    """The choices of a per-cell, node-wise DARTS space: node n chooses among operations on n earlier states."""
    names = "abcdefgh"[:operations]
    choices = Choices(
        [
            Choice(f"{cell}.{node}", tuple(f"{name}@{source}" for source in range(node) for name in names))
            for cell in range(cells)
            for node in range(2, 6)
        ]
    )
    one_level = OneLevel()
    one_level.initialise(choices, torch.Generator())
    choices.relaxation = one_level.relax
    return choices


def reason(verdict: Verdict) -> str | None:
    return next((name for name, holds in verdict.snapshot.items() if holds), None)


def search(
    schedule: Shrink,
    choices: Choices,
    clock: StepClock,
    lr: float,
    resist: float = 0.3,
    since: int = 0,
    until: int | None = None,
) -> list[dict[str, Any]]:
    """Descends alpha on a task that prefers some candidates at random; the events that a run would have written."""
    generator = torch.Generator().manual_seed(0)
    taste = torch.randn(choices.alpha.shape, generator=generator) * resist
    torch_optimizer = torch.optim.SGD([choices.alpha], lr=lr)
    events: list[dict[str, Any]] = []
    for now in clock.since(since):
        if now.step == until:
            break
        noise = torch.randn(taste.shape, generator=torch.Generator().manual_seed(now.step))
        loss = 1.0 + (choices.weights() * (taste + noise)).sum() * 0.2
        torch_optimizer.zero_grad()
        schedule.penalise(loss, choices, now).backward()
        torch.nn.utils.clip_grad_norm_([choices.alpha], 5.0)
        torch_optimizer.step()
        verdict = schedule.after_step(choices, now)
        row = {
            "step": now.step + 1,
            "deleted": int(verdict.deleted),
            "reason": reason(verdict),
            "stop": bool(verdict.stop),
        }
        events.append({**row, **{name: float(value) for name, value in verdict.measures.items()}})
        if verdict.stop:
            break
    return events


@pytest.mark.parametrize(("cells", "operations", "expected"), [(8, 3, 576), (14, 3, 1008), (8, 7, 853), (8, 8, 898)])
def test_a_dense_supernet_has_the_known_sparsity(cells: int, operations: int, expected: int) -> None:
    choices = supernet(cells, operations)
    with torch.no_grad():
        assert round(float(Shrink().measure(choices.weights()))) == expected


def test_the_sparsest_node_adds_log_51() -> None:
    choices = supernet(2, 3)
    doomed = choices.kept.clone()
    doomed[:, 4] = False
    choices.delete(doomed)
    with torch.no_grad():
        assert float(Shrink().measure(choices.weights())) == pytest.approx(8 * math.log(51), rel=1e-6)


def test_entropy_of_a_dense_supernet_is_the_sum_of_logarithms() -> None:
    with torch.no_grad():
        measured = float(Shrink(sparsity="entropy").measure(supernet(8, 3).weights()))
    assert measured == pytest.approx(8 * sum(math.log(3 * node) for node in range(2, 6)), rel=1e-5)


def test_the_penalty_has_the_gradient_of_its_formula() -> None:
    torch.manual_seed(0)
    choices = supernet(1, 3).double()
    with torch.no_grad():
        choices.alpha.copy_(torch.rand(choices.alpha.shape, dtype=torch.float64) + 0.5)
    schedule, clock = Shrink(gamma_0=0.02, s_min=1.0), StepClock(10, 10)
    schedule.begin(choices, clock)
    w = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    taste = torch.randn(choices.alpha.shape, dtype=torch.float64)
    loss = w**2 + (choices.weights() * taste).sum()
    got = torch.autograd.grad(schedule.penalise(loss, choices, clock.at(0)), [choices.alpha, w])

    raw = choices.alpha.tolist()
    for row, choice in enumerate(choices):
        width = len(choice.candidates)
        p = choices.alpha.detach()[row, :width]
        share, total = p / p.sum(), p.sum()
        value = float(loss.detach())
        density = specification.sparsity([alpha[: len(c.candidates)] for alpha, c in zip(raw, choices, strict=True)])
        per_share = (1 + 0.02 * density) * taste[row, :width] + 0.02 * (value + 0.1) * 50 / (1 + 50 * share)
        expected = (per_share - (share * per_share).sum()) / total
        torch.testing.assert_close(got[0][row, :width], expected)
    torch.testing.assert_close(got[1], 2 * w.detach() * (1 + 0.02 * density))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_follows_the_specification_step_by_step(seed: int) -> None:
    """Alpha wanders at random; every deletion, number of the controller and verdict is compared."""
    generator, constants = random.Random(seed), {"t_max": 5, "gamma_0": 0.05, "xi": 0.9, "s_min": 60.0}
    choices = supernet(2, 3).double()
    schedule, reference = Shrink(snapshot_every=0, **constants), specification.Controller(constants)
    clock = StepClock(50, 20)
    schedule.begin(choices, clock)
    nodes = [[2.0] * len(choice.candidates) for choice in choices]
    stalls = 0
    for now in clock.since(0):
        for row, node in enumerate(nodes):
            strongest = node.index(max(node))
            for column, p in enumerate(node):
                if p != specification.DELETED:
                    node[column] = p if column == strongest else max(p - generator.gauss(0.01, 0.05), 0.0)
                    choices.alpha.data[row, column] = node[column]
        deleted = reference.delete(nodes)
        stall = reference.control(deleted)
        verdict = schedule.after_step(choices, now)
        assert verdict.deleted == deleted
        assert (reason(verdict) == "stall") == stall
        expected = (reference.gamma, reference.mu, reference.ema)
        assert [float(value) for value in (schedule.gamma, schedule.mu, schedule.ema)] == pytest.approx(
            expected, rel=1e-12
        )
        assert float(verdict.measures["S"]) == pytest.approx(specification.sparsity(nodes), rel=1e-9)
        assert verdict.measures["alive"] == sum(p != specification.DELETED for node in nodes for p in node)
        assert bool(verdict.stop) == ((now.step + 1) % 50 == 0 and specification.sparsity(nodes) < 60.0)
        assert all(columns for columns in choices.active_columns)
        stalls += stall
        if verdict.stop:
            break
    assert stalls > 0
    assert choices.active_count < sum(len(choice.candidates) for choice in choices)


def test_its_events_replay_through_the_specification() -> None:
    schedule, choices, clock = Shrink(pace="fit", s_min=0.0), supernet(3, 3), StepClock(17, 25)
    schedule.begin(choices, clock)
    in_force = {
        "gamma_0": float(schedule.gamma),
        "phi": schedule.growth,
        "k": schedule.relief,
        "n_max": float(schedule.rate),
        "t_max": schedule.patience,
        "tau": schedule.memory,
        "s_min": schedule.floor,
    }
    events = search(schedule, choices, clock, lr=2.0)
    assert specification.replay(events, in_force, 17) == []
    assert specification.replay([{**events[0], "gamma": 1.0}, *events[1:]], in_force, 17) != []


@pytest.mark.parametrize("lr", [1.0, 2.0, 4.7])
@pytest.mark.parametrize("resist", [0.1, 0.5])
def test_a_fitted_search_shrinks_steadily_and_ends_in_time(lr: float, resist: float) -> None:
    schedule, choices, clock = Shrink(pace="fit"), supernet(3, 3), StepClock(17, 25)
    schedule.begin(choices, clock)
    events = search(schedule, choices, clock, lr, resist)
    first = next(event["step"] for event in events if event["deleted"])
    assert first < 0.2 * clock.steps
    assert events[-1]["stop"]
    assert 0.5 * clock.steps < events[-1]["step"] < clock.steps
    halfway = events[clock.steps // 3]["alive"]
    assert choices.active_count < halfway < 126
    assert all(columns for columns in choices.active_columns)


def test_the_fit_reproduces_the_rule_on_the_released_scale() -> None:
    schedule, choices = Shrink(pace="fit", s_min_fraction=250 / 576), supernet(8, 3)
    schedule.begin(choices, StepClock(100, 174))
    doomed = 336 - 32 * 2.66  # 2.66 equal candidates per node have S = 250
    period = 0.8 * 17400 / doomed
    assert schedule.memory == pytest.approx(math.exp(-6 / period), rel=1e-2)
    assert schedule.rate == pytest.approx((1 - schedule.memory) / 20)
    assert schedule.patience == pytest.approx(0.7 * period, abs=1)
    assert schedule.floor == pytest.approx(250, rel=1e-3)
    assert schedule.gamma == 1e-4


def test_it_resumes_bit_for_bit() -> None:
    clock = StepClock(17, 25)
    whole, choices = Shrink(pace="fit"), supernet(3, 3)
    whole.begin(choices, clock)
    expected = search(whole, choices, clock, lr=2.0)

    first, choices = Shrink(pace="fit"), supernet(3, 3)
    first.begin(choices, clock)
    before = search(first, choices, clock, lr=2.0, until=101)
    second, again = Shrink(pace="fit"), supernet(3, 3)
    write_state(second, json.loads(json.dumps(read_state(first))))
    again.load_state_dict(choices.state_dict())
    again.refresh()
    assert before + search(second, again, clock, lr=2.0, since=101) == expected


def test_warm_up_neither_regularises_nor_deletes() -> None:
    schedule, choices, clock = Shrink(warm_up=1, s_min=10.0), supernet(1, 3), StepClock(4, 2)
    schedule.begin(choices, clock)
    with torch.no_grad():
        choices.alpha[:, 0] = 0.001
    loss = torch.tensor(1.0)
    for step in range(4):
        assert schedule.penalise(loss, choices, clock.at(step)) is loss
        verdict = schedule.after_step(choices, clock.at(step))
        assert verdict.deleted == 0
        assert verdict.measures["gamma"] == 1e-4
        assert reason(verdict) is None
    assert float(schedule.penalise(loss, choices, clock.at(4)).detach()) > 1.0
    assert schedule.after_step(choices, clock.at(4)).deleted == 4


def test_regular_snapshots_follow_the_epochs() -> None:
    schedule, choices, clock = Shrink(snapshot_every=2, s_min=10.0), supernet(1, 3), StepClock(3, 5)
    schedule.begin(choices, clock)
    taken = {now.step: why for now in clock.since(0) if (why := reason(schedule.after_step(choices, now)))}
    assert taken == {5: "epoch", 11: "epoch", 14: "end"}


def test_regular_snapshots_begin_with_an_epoch_but_none_is_taken_in_the_warm_up() -> None:
    for options, epochs in (({"snapshot_from": 3}, [3, 4]), ({"warm_up": 2, "snapshot_from": 1}, [2, 3, 4])):
        schedule, choices, clock = Shrink(s_min=10.0, **options), supernet(1, 3), StepClock(3, 5)
        schedule.begin(choices, clock)
        taken = [now.step for now in clock.since(0) if reason(schedule.after_step(choices, now))]
        assert taken == [3 * epoch + 2 for epoch in epochs]


def test_epochs_of_warm_up_and_of_snapshots_count_through_all_stages() -> None:
    schedule, choices = Shrink(warm_up=3, snapshot_every=2, snapshot_from=4, s_min=10.0), supernet(1, 3)
    schedule.begin(choices, StepClock(2, 6))
    regular = []
    for stage in range(3):
        for now in StepClock(2, 2, stage=stage, epochs_before=2 * stage).since(0):
            epoch = 2 * stage + now.epoch
            assert schedule.graph_key(now) == (epoch < 3)
            assert (float(schedule.penalise(torch.ones(()), choices, now).detach()) == 1.0) == (epoch < 3)
            verdict = schedule.after_step(choices, now)
            assert (float(schedule.gamma) == schedule.gamma_0) == (epoch < 3)
            if isinstance(verdict.snapshot, dict) and verdict.snapshot.get("epoch"):
                regular.append((epoch + 1, now.ends_epoch))
    assert regular == [(6, True)]


def test_a_search_that_is_all_warm_up_is_refused() -> None:
    with pytest.raises(InputError, match="warm_up = 3 leaves none of the 3 epochs"):
        Shrink(warm_up=3, s_min=10.0).begin(supernet(1, 3), StepClock(3, 3))


@attrs.define
class Wide(Toy):
    """A space with a choice of as many candidates as asked for."""

    width: int = option(120, "candidates of the last choice", at_least=2)

    def choice_list(self) -> Sequence[Choice]:
        return (*Toy.choice_list(self), wide_choice(self.width))


def wide_choice(width: int) -> Choice:
    return Choice("wide", tuple(map(str, range(width))))


@pytest.mark.parametrize(("width", "threshold"), [(120, 0.01), (100, 0.01), (5, 0.2), (5, 0.5)])
def test_a_threshold_above_equal_weights_is_refused(width: int, threshold: float) -> None:
    schedule, choices = Shrink(threshold=threshold, pace="fit"), Choices([Choice("c", ("a", "b")), wide_choice(width)])
    message = f"The {width} candidates of choice 'wide' .* schedule.threshold = {threshold} deletes"
    with pytest.raises(InputError, match=message) as error:
        schedule.begin(choices, StepClock(10, 10))
    with pytest.raises(InputError, match=message):
        supernet_spaces(schedule, Wide(width=width))
    working = float(str(error.value).rpartition("such as ")[2].rstrip("."))
    one_level = OneLevel()
    one_level.initialise(choices, torch.Generator())
    choices.relaxation = one_level.relax
    schedule = Shrink(threshold=working, pace="fit")
    schedule.begin(choices, StepClock(10, 10))
    assert supernet_spaces(schedule, Wide(width=width)) == (Wide(width=width),)
    assert schedule.after_step(choices, StepClock(10, 10).at(0)).deleted == 0


@pytest.mark.parametrize("every", [0, 1])
def test_the_search_ends_with_an_epoch_at_whose_end_it_is_sparse_enough(every: int) -> None:
    """S is 72 where all candidates of the four nodes are equal, and 38 where one of each has most of the weight."""
    schedule, choices, clock = Shrink(s_min=45.0, snapshot_every=every), supernet(1, 3), StepClock(4, 3)
    schedule.begin(choices, clock)
    ends = []
    for now in clock.since(0):
        # Below the end value within the first epoch, above it again at its end, and below it from step 6 on.
        sparse = now.step in (1, 2) or now.step >= 6
        with torch.no_grad():
            choices.alpha.fill_(2.0)
            choices.alpha[:, 0] = 100.0 if sparse else 2.0
        verdict = schedule.after_step(choices, now)
        by_hand = specification.sparsity(
            [alpha[: len(choice.candidates)] for alpha, choice in zip(choices.alpha.tolist(), choices, strict=True)]
        )
        assert float(verdict.measures["S"]) == pytest.approx(by_hand, rel=1e-6)
        assert (by_hand < 45.0) == sparse
        if verdict.stop:
            ends.append((now.step, reason(verdict)))
    assert ends[0] == (7, "epoch" if every else "end")
    assert all(step % 4 == 3 for step, _ in ends)


def test_gamma_passes_its_maximum_unless_clipped() -> None:
    choices, clock = supernet(1, 3), StepClock(10, 10)
    ends = []
    for clip in (False, True):
        schedule = Shrink(gamma_0=0.099, gamma_clip=clip, s_min=10.0)
        schedule.begin(choices, clock)
        for now in clock.since(90):
            schedule.after_step(choices, now)
        ends.append((schedule.gamma, schedule.stalled))
    assert ends[0] == (pytest.approx(0.099 * 1.01**10), 8)
    assert ends[1] == (0.1, 8)


def test_other_weights_than_one_level_shrink_as_well() -> None:
    choices = supernet(1, 3)
    choices.relaxation = Bilevel().relax
    with torch.no_grad():
        choices.alpha.zero_()
        choices.alpha[0, 2] = -6.0
    schedule, clock = Shrink(s_min=10.0), StepClock(10, 10)
    schedule.begin(choices, clock)
    assert schedule.after_step(choices, clock.at(0)).deleted == 1
    assert 2 not in choices.active_columns[0]


def test_a_supernet_that_starts_below_the_end_is_refused() -> None:
    with pytest.raises(InputError, match="s_min"):
        Shrink().begin(supernet(3, 3), StepClock(10, 10))


def test_the_declared_figures_are_measured() -> None:
    schedule, choices, clock = Shrink(s_min=10.0), supernet(1, 3), StepClock(4, 2)
    schedule.begin(choices, clock)
    measures = schedule.after_step(choices, clock.at(0)).measures
    assert {figure.name for figure in Shrink.figures} <= measures.keys()
    (progress,) = (figure.progress.format(float(measures[figure.name])) for figure in Shrink.figures if figure.progress)
    assert progress == f"{choices.active_count} operations alive"
