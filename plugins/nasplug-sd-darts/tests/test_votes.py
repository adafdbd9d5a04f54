from __future__ import annotations

import math

import pytest
import torch
from nasplug_sd_darts.votes import divergence, vote
from torch import Tensor

T = 3.0


def probabilities(logits: list[float]) -> list[float]:
    powers = [math.exp(logit / T) for logit in logits]
    return [power / sum(powers) for power in powers]


def mean(columns: list[list[float]], weights: list[float]) -> list[float]:
    return [
        sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
        for values in zip(*columns, strict=True)
    ]


def by_hand(logits: list[list[float]], kind: str) -> list[float]:
    """The vote of three teachers on one image, in plain Python."""
    predictions = [probabilities(teacher) for teacher in logits]
    if kind == "soft":
        return mean(predictions, [1.0] * len(predictions))
    if kind == "logit-mean":
        return probabilities(mean(logits, [1.0] * len(predictions)))
    if kind == "confidence":
        return mean(predictions, [max(prediction) for prediction in predictions])
    chosen = [prediction.index(max(prediction)) for prediction in predictions]
    soft = by_hand(logits, "soft")
    winner = max(range(len(soft)), key=lambda number: (chosen.count(number), soft[number]))
    return [float(number == winner) for number in range(len(soft))]


@pytest.mark.parametrize("kind", ["soft", "logit-mean", "hard", "confidence"])
def test_votes_are_those_of_the_formula(kind: str) -> None:
    logits = torch.randn(3, 40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    expected = [by_hand(logits[:, image].tolist(), kind) for image in range(40)]
    torch.testing.assert_close(vote(logits, kind, T), torch.tensor(expected, dtype=torch.float64))


def test_the_ways_of_voting_differ() -> None:
    logits = torch.tensor([[[4.0, 0.0, 0.0]], [[0.0, 1.0, 0.9]], [[0.0, 1.0, 0.9]]])
    kinds = {kind: vote(logits, kind, 1.0)[0] for kind in ("soft", "logit-mean", "hard", "confidence")}
    assert [int(prediction.argmax()) for prediction in kinds.values()] == [0, 0, 1, 0]
    assert kinds["confidence"][0] > kinds["soft"][0] > 1 / 3


def test_a_tie_goes_to_the_likelier_class() -> None:
    logits = torch.tensor([[[2.0, 0.0, 1.5]], [[0.0, 0.1, 0.0]]])
    assert vote(logits, "hard", 1.0).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("kind", ["soft", "logit-mean", "hard", "confidence"])
@pytest.mark.parametrize("direction", ["teacher-student", "student-teacher"])
def test_the_divergence_is_summed_over_classes_and_averaged_over_the_batch(kind: str, direction: str) -> None:
    if (kind, direction) == ("hard", "student-teacher"):
        return
    generator = torch.Generator().manual_seed(1)
    teachers = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    student = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    predicted = vote(teachers, kind, T)
    total = torch.zeros((), dtype=torch.float64)
    for image in range(5):
        own = torch.stack([(student[image, k] / T).exp() for k in range(4)])
        own = own / own.sum()
        first, second = (predicted[image], own) if direction == "teacher-student" else (own, predicted[image])
        for p, q in zip(first, second, strict=True):
            if p > 0:
                total = total + p * (p.log() - q.log()) / 5
    computed = divergence(student, predicted, T, direction)
    torch.testing.assert_close(computed, total)
    gradients: list[Tensor] = [torch.autograd.grad(loss, student, retain_graph=True)[0] for loss in (computed, total)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("direction", ["teacher-student", "student-teacher"])
def test_who_agrees_is_not_moved(direction: str) -> None:
    logits = torch.randn(6, 3, requires_grad=True)
    distance = divergence(logits, vote(logits.detach()[None], "soft", T), T, direction)
    assert float(distance.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.autograd.grad(distance, logits)[0].abs().max() < 1e-6


def test_teachers_beyond_float_precision_stay_finite() -> None:
    predicted = vote(torch.tensor([[[1000.0, 0.0]]]), "soft", 1.0)
    assert bool(divergence(torch.zeros(1, 2), predicted, 1.0, "student-teacher").isfinite())
