from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from nasplug_gdas.optimizer import ALPHA, WEIGHTS, Gdas
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, Objective, SearchSpace, Supernet, TorchOptimizers, read_state, write_state
from nasplug.plugins import load_plugins
from nasplug.values import ImageShape, StepClock, StepInfo, Training, Update
from nasplug.values.options import build

CLOCK = StepClock(steps_per_epoch=4, epochs=5)


def space(name: str, **options: object) -> SearchSpace:
    plugins = load_plugins()
    built: SearchSpace = build(plugins.resolve(plugins.find("space", name)), options, name)
    return built


class Mixed(nn.Module):
    """Two choices among linear maps; only what counts is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = Choices([Choice("first", ("a", "b", "c")), Choice("second", ("d", "e"))])
        self.choices.alpha.data = self.choices.alpha.data.double()
        self.maps = nn.ModuleList(nn.ModuleList(nn.Linear(3, 3) for _ in choice.candidates) for choice in self.choices)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        weights = self.choices.weights()
        for row, maps in enumerate(self.maps):
            terms = [weights[row, column] * torch.tanh(maps[column](x)) for column in self.choices.active_columns[row]]
            x = sum(terms[1:], start=terms[0])
        return x


def make_update(optimizer: Gdas, update: Update, objective: Objective, torch_optimizers: TorchOptimizers) -> Tensor:
    """One update, as a trainer makes it."""
    loss = optimizer.compute_gradients(update, objective, torch_optimizers)
    torch_optimizers.clip_gradients(update)
    torch_optimizers.step(update)
    return loss


class Run:
    """A search of `Mixed`, step by step, in the order of nasplug's loop."""

    def __init__(self, optimizer: Gdas) -> None:
        torch.manual_seed(0)
        self.net, self.optimizer = Mixed(), optimizer
        self.choices = self.net.choices
        self.choices.relaxation = optimizer.relax
        images = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        self.images = {ALPHA: images[:4], WEIGHTS: images[4:]}
        weights = [weight for weight in self.net.parameters() if weight is not self.choices.alpha]
        self.torch_optimizers = TorchOptimizers(
            weights=torch.optim.SGD(weights, lr=0.05, momentum=0.9),
            alpha=optimizer.make_alpha_optimizer(self.choices.alpha),
            clip_weights=5.0,
            clip_alpha=optimizer.clip_alpha(),
        )

    def loss(self, split: str) -> Tensor:
        return (self.net(self.images[split]) - 1).square().mean()

    @contextmanager
    def sampled(self, now: StepInfo) -> Iterator[None]:
        with self.choices.only(self.optimizer.sample(NOWHERE, self.choices, now)):
            yield

    def step(self, now: StepInfo) -> float:
        with self.sampled(now):
            for update in self.optimizer.updates(now):
                loss = make_update(self.optimizer, update, Objective(update.split, self.loss), self.torch_optimizers)
        return float(loss)


NOWHERE = space("nb201")
"""Samples do not depend on the space."""


def seeded_gdas(**options: float) -> Gdas:
    optimizer = Gdas(alpha_lr=0.1, **options)
    optimizer.seed = 42
    return optimizer


def test_the_temperature_falls_linearly_from_the_first_to_the_last_epoch() -> None:
    optimizer = Gdas()
    temperatures = [optimizer.temperature(CLOCK.at(step)) for step in range(CLOCK.steps)]
    assert temperatures[0] == 10.0
    assert temperatures[-1] == pytest.approx(0.1)
    assert temperatures[4:8] == pytest.approx([7.525] * 4)
    assert temperatures == sorted(temperatures, reverse=True)
    assert Gdas().temperature(StepClock(4, 1).at(3)) == 10.0


def test_each_update_changes_its_own_parameters_and_uses_its_own_images() -> None:
    run = Run(seeded_gdas())
    weights = [weight for weight in run.net.parameters() if weight is not run.choices.alpha]
    first, second = run.optimizer.updates(CLOCK.at(0))
    assert {first.split, second.split} == set(run.optimizer.splits())
    for update, trained, frozen in ((first, [run.choices.alpha], weights), (second, weights, [run.choices.alpha])):
        splits: list[str] = []
        before = [parameter.detach().clone() for parameter in (*trained, *frozen)]

        def evaluate(split: str, splits: list[str] = splits) -> Tensor:
            splits.append(split)
            return run.loss(split)

        with run.sampled(CLOCK.at(0)):
            make_update(run.optimizer, update, Objective(update.split, evaluate), run.torch_optimizers)
        after = [parameter.detach() for parameter in (*trained, *frozen)]
        same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert not all(same[: len(trained)])
        assert all(same[len(trained) :])
        assert splits == [update.split]


def test_only_the_sampled_candidates_get_gradients() -> None:
    run = Run(seeded_gdas())
    with run.sampled(CLOCK.at(0)):
        sampled = run.choices.active_columns
        run.loss(WEIGHTS).backward()
    assert [len(columns) for columns in sampled] == [1, 1]
    for row, maps in enumerate(run.net.maps):
        for column, module in enumerate(maps):
            assert (module.weight.grad is not None) == (column in sampled[row])


def test_the_gradient_of_alpha_is_that_of_the_relaxed_weight_of_the_sample() -> None:
    """Against a plain network whose sampled branches are scaled by factors of 1, and the chain rule."""
    run = Run(seeded_gdas())
    now = CLOCK.at(7)
    with run.sampled(now):
        ((first,), (second,)) = run.choices.active_columns
        (gradient,) = torch.autograd.grad(run.loss(ALPHA), run.choices.alpha)
        sample = run.optimizer.current
        assert sample is not None

    factors = torch.ones(2, dtype=torch.float64, requires_grad=True)
    hidden = factors[0] * torch.tanh(run.net.maps[0][first](run.images[ALPHA]))
    out = factors[1] * torch.tanh(run.net.maps[1][second](hidden))
    slopes = torch.autograd.grad((out - 1).square().mean(), factors)[0]
    temperature = 10.0 - 9.9 / 4
    for row, (picked, width) in enumerate(((first, 3), (second, 2))):
        scores = (run.choices.alpha.detach()[row, :width] + sample.noise[row, :width]) / temperature
        p = scores.exp() / scores.exp().sum()
        jacobian = torch.stack([p[picked] * (float(picked == j) - p[j]) / temperature for j in range(width)])
        assert torch.allclose(gradient[row, :width], slopes[row] * jacobian, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", ["darts", "nb201", "mbconv", "compact"])
def test_a_supernet_computes_exactly_the_sampled_architecture(name: str) -> None:
    options = {"darts": {"cells": 2, "channels": 4}, "nb201": {"cells": 1, "channels": 4}, "mbconv": {}, "compact": {}}[
        name
    ]
    torch.manual_seed(0)
    searched = space(name, **options)
    net: Supernet = searched.supernet(ImageShape(channels=1, size=8, classes=3))
    optimizer = seeded_gdas()
    optimizer.initialise(net.choices, torch.Generator().manual_seed(3))
    net.choices.relaxation = optimizer.relax
    images = torch.randn(4, 1, 8, 8)
    mask = optimizer.sample(searched, net.choices, CLOCK.at(2))
    with net.choices.only(mask):
        logits = net(images)
        F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
        net.choices.relaxation = lambda alpha, active: active.to(alpha)
        assert torch.equal(logits, net(images))
    assert net.choices.alpha.grad is not None
    assert bool(torch.isfinite(net.choices.alpha.grad).all())
    assert bool(net.choices.alpha.grad.any())


def test_without_a_sample_candidates_are_weighted_by_softmax() -> None:
    run = Run(seeded_gdas())
    run.step(CLOCK.at(0))
    expected = torch.stack([run.choices.alpha[0].softmax(0), F.pad(run.choices.alpha[1, :2].softmax(0), (0, 1))])
    assert torch.allclose(run.choices.weights(), expected)
    mask = torch.tensor([[True, False, False], [False, True, False]])
    with run.choices.only(mask):
        assert torch.equal(run.choices.weights(), mask.double())
        assert not torch.autograd.grad(run.choices.weights().sum(), run.choices.alpha)[0].any()


def test_samples_depend_on_the_seed_and_the_step() -> None:
    run, other = Run(seeded_gdas()), Run(seeded_gdas())
    other.optimizer.seed = 43
    masks = [run.optimizer.sample(NOWHERE, run.choices, CLOCK.at(step)) for step in range(20)]
    again = [run.optimizer.sample(NOWHERE, run.choices, CLOCK.at(step)) for step in reversed(range(20))]
    elsewhere = [other.optimizer.sample(NOWHERE, other.choices, CLOCK.at(step)) for step in range(20)]
    assert all(torch.equal(a, b) for a, b in zip(masks, reversed(again), strict=True))
    assert len({mask.numpy().tobytes() for mask in masks}) > 1
    assert not all(torch.equal(a, b) for a, b in zip(masks, elsewhere, strict=True))


def test_a_search_resumes_bit_for_bit() -> None:
    whole = Run(seeded_gdas())
    expected = [whole.step(now) for now in CLOCK.since(0)]

    first = Run(seeded_gdas())
    losses = [first.step(CLOCK.at(step)) for step in range(9)]
    optimizer = Gdas(alpha_lr=0.1)
    write_state(optimizer, json.loads(json.dumps(read_state(first.optimizer))))
    second = Run(optimizer)
    torch.rand(5)  # nothing may depend on torch's global generator
    second.net.load_state_dict(first.net.state_dict())
    second.choices.refresh()
    second.torch_optimizers.weights.load_state_dict(first.torch_optimizers.weights.state_dict())
    assert first.torch_optimizers.alpha is not None
    assert second.torch_optimizers.alpha is not None
    second.torch_optimizers.alpha.load_state_dict(first.torch_optimizers.alpha.state_dict())
    losses += [second.step(now) for now in CLOCK.since(9)]
    assert losses == expected
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name


def test_a_search_continues_with_the_candidates_that_a_schedule_keeps() -> None:
    run = Run(seeded_gdas())
    run.step(CLOCK.at(0))
    run.choices.delete(torch.tensor([[True, False, False], [False, True, False]]))
    sampled = set()
    for now in CLOCK.since(1):
        with run.sampled(now):
            sampled.add(run.choices.active_columns)
            (slope,) = torch.autograd.grad(run.loss(ALPHA), run.choices.alpha)
        assert bool(slope[0, 1:].all()) or now.epoch == 4  # by then the relaxation itself is one-hot
        assert not bool(slope[0, 0])  # deleted
        assert not bool(slope[1].any())  # nothing is left to choose
        run.step(now)
    assert sampled == {((1,), (0,)), ((2,), (0,))}


def test_a_space_that_needs_two_of_a_choice_is_refused() -> None:
    wide = SimpleNamespace(name="pairs", choice_list=lambda: (Choice("inputs", ("a", "b", "c"), at_least=2),))
    with pytest.raises(InputError, match=r"'pairs' hold at least 2 of the choice 'inputs'"):
        Gdas().check(wide, Training())  # type: ignore[arg-type]
    Gdas().check(NOWHERE, Training())


def test_within_other_candidates_it_samples_one_of_them() -> None:
    run, optimizer = Run(seeded_gdas()), seeded_gdas()
    run.choices.relaxation = optimizer.relax
    candidates = torch.tensor([[False, True, True], [True, False, False]])
    sampled = set()
    for now in CLOCK.since(0):
        with run.choices.only(candidates):
            mask = optimizer.sample(NOWHERE, run.choices, now)
        assert not (mask & ~candidates).any()
        assert mask.sum(1).tolist() == [1, 1]
        sampled.add(int(mask[0].int().argmax()))
        with run.choices.only(mask & candidates):  # as a trainer that trains a supernet further
            weights = run.choices.weights()
            assert torch.equal(weights, mask.to(weights))
            (gradient,) = torch.autograd.grad((weights * torch.arange(6).view(2, 3)).sum(), run.choices.alpha)
        assert not gradient[~candidates].any()
    assert sampled == {1, 2}
