"""The mathematics of each task against plain formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts import Classification, Errors, MultiLabel, Regression
from nasplug.parts.recorded_task import read_task, record_task

CPU = torch.device("cpu")


def generator():
    return torch.Generator().manual_seed(0)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


@pytest.fixture
def logits():
    return (3 * torch.randn(7, 4, generator=generator(), dtype=torch.float64)).requires_grad_()


@pytest.fixture
def having():
    return torch.randint(0, 2, (7, 4), generator=generator(), dtype=torch.uint8)


def test_a_classification_computes_as_torch_does_bit_by_bit(logits):
    labels, weights = torch.randint(0, 4, (7,), generator=generator()), torch.rand(4, dtype=torch.float64)
    task = Classification()
    assert task.loss(logits, labels, 0.1, weights) == F.cross_entropy(
        logits, labels, weight=weights, label_smoothing=0.1
    )
    assert task.loss(logits, labels) == F.cross_entropy(logits, labels)
    assert task.summed_loss(logits, labels) == F.cross_entropy(logits, labels, reduction="sum")
    wrong, total = task.count_errors(logits, labels)
    answers = logits.argmax(1)
    for label in range(4):
        assert wrong[label] == ((labels == label) & (answers != label)).sum()
        assert total[label] == (labels == label).sum()
    assert torch.equal(task.answer_layer(logits), logits.softmax(1))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_labels_is_the_mean_binary_cross_entropy(logits, having, smoothing):
    task = MultiLabel()
    targets = task.make_encoder(CPU)(having)
    assert targets.dtype == torch.float32
    total = 0.0
    for row, wanted in zip(logits.tolist(), having.tolist(), strict=True):
        for value, target in zip(row, wanted, strict=True):
            soft = target * (1 - smoothing) + smoothing / 2
            total -= soft * math.log(sigmoid(value)) + (1 - soft) * math.log(1 - sigmoid(value))
    loss = task.loss(logits, targets, smoothing)
    assert float(loss.detach()) == pytest.approx(total / 28, rel=1e-12)
    (slope,) = torch.autograd.grad(loss, logits)
    soft = having * (1 - smoothing) + smoothing / 2
    torch.testing.assert_close(slope, (logits.sigmoid() - soft).detach() / 28, rtol=1e-6, atol=1e-9)
    if not smoothing:
        torch.testing.assert_close(task.summed_loss(logits, targets), 7 * loss)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_of_labels_is_that_of_each_decision(logits, temperature):
    task, teacher = MultiLabel(), torch.randn(7, 4, generator=generator(), dtype=torch.float64)
    total = 0.0
    for ours, theirs in zip(logits.flatten().tolist(), teacher.flatten().tolist(), strict=True):
        p, q = sigmoid(theirs / temperature), sigmoid(ours / temperature)
        total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    divergence = task.divergence(logits, teacher, temperature)
    assert float(divergence.detach()) == pytest.approx(temperature**2 * total / 28, rel=1e-10)
    (slope,) = torch.autograd.grad(divergence, logits)
    expected = temperature * ((logits / temperature).sigmoid() - (teacher / temperature).sigmoid()) / 28
    torch.testing.assert_close(slope, expected.detach())
    assert float(task.divergence(teacher, teacher, temperature)) == pytest.approx(0, abs=1e-15)
    huge = torch.tensor([[800.0, -800.0]], dtype=torch.float64)
    assert task.divergence(huge, huge, 1.0) == 0  # not NaN


def test_the_error_of_labels_counts_decisions_and_pools(logits, having):
    task = MultiLabel()
    counts = task.count_errors(logits, having.float())
    wrong = [sum((logits[i, j] > 0) != bool(having[i, j]) for i in range(7)) for j in range(4)]
    assert counts.tolist() == [wrong, [7] * 4]
    parts = [task.count_errors(logits[part], having[part].float()).tolist() for part in (slice(0, 3), slice(3, 7))]
    pooled = Errors.pooled([Errors(tuple(wrong), tuple(total)) for wrong, total in parts])
    assert pooled == Errors(tuple(wrong), (7,) * 4)
    assert pooled.rate == sum(wrong) / 28
    assert pooled.balanced == pytest.approx(pooled.rate)
    probabilities = task.answer_layer(logits)
    assert torch.equal(task.count_errors(task.to_logits(probabilities), having.float()), counts)


def test_images_are_divided_by_the_rarest_label_that_they_have():
    targets = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]], np.uint8)
    assert MultiLabel().strata(targets).tolist() == [1, 0, 2, 3, 0, 1]
    assert Classification().strata(np.array([2, 0, 1])).tolist() == [2, 0, 1]
    assert Regression().strata(np.zeros((4, 2), np.float32)).tolist() == [0] * 4


@pytest.fixture
def numbers():
    scale, shift = torch.tensor([3.0, 0.01, 200.0, 1.0]), torch.tensor([5.0, -1.0, 1000.0, 0.0])
    return torch.randn(7, 4, generator=generator()) * scale + shift


def test_a_regression_learns_standardised_values(logits, numbers):
    task = Regression().fit(numbers.numpy())
    values = numbers.double().numpy()
    np.testing.assert_allclose(task.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(task.std, values.std(0), rtol=1e-12)
    targets = task.make_encoder(CPU)(numbers)
    np.testing.assert_allclose(targets.numpy(), (values - values.mean(0)) / values.std(0), rtol=1e-3, atol=1e-4)
    residuals = logits.detach() - targets.double()
    loss = task.loss(logits, targets, smoothing=0.1)
    torch.testing.assert_close(loss.detach(), residuals.square().mean(), rtol=1e-12, atol=0)
    (slope,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(slope, residuals * 2 / 28)
    torch.testing.assert_close(task.summed_loss(logits, targets), 7 * loss)
    teacher = torch.randn(7, 4, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(task.divergence(logits, teacher, 4.0), (logits - teacher).square().mean())


def test_the_error_of_a_regression_is_one_minus_r_squared_in_the_unit_of_the_targets(logits, numbers):
    task = Regression().fit(numbers.numpy())
    targets = task.make_encoder(CPU)(numbers)
    answers = task.answer_layer(logits.detach())  # in the unit of the targets
    values = numbers.double()
    np.testing.assert_allclose(
        answers.numpy(), logits.detach().numpy() * np.array(task.std) + np.array(task.mean), rtol=1e-9
    )
    wrong, total = task.count_errors(logits, targets)
    unexplained = (answers - values).square().sum(0) / (values - values.mean(0)).square().sum(0)
    torch.testing.assert_close((wrong / total).detach(), unexplained, rtol=1e-4, atol=0)
    torch.testing.assert_close(
        task.count_errors(task.to_logits(answers), targets), torch.stack([wrong, total]), rtol=1e-6, atol=1e-9
    )
    always_the_mean = task.count_errors(torch.zeros(7, 4), targets)
    assert Errors(*map(tuple, always_the_mean.tolist())).rate == 1
    perfect = task.count_errors(targets, targets)
    assert Errors(*map(tuple, perfect.tolist())).rate == 0
    parts = [task.count_errors(logits[part], targets[part]).tolist() for part in (slice(0, 3), slice(3, 7))]
    pooled = Errors.pooled([Errors(tuple(wrong), tuple(total)) for wrong, total in parts])
    assert pooled.rate == pytest.approx(float((wrong.sum() / total.sum()).detach()), rel=1e-12)


def test_answers_agree_where_decisions_do(numbers):
    three = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.51, 0.49]])
    other = torch.tensor([[0.9, 0.1], [0.6, 0.6], [0.49, 0.49]])
    assert MultiLabel().agree(three, other).tolist() == [True, False, False]
    assert MultiLabel().largest_difference(three, other) == pytest.approx(0.3)
    assert MultiLabel().select(torch.tensor([0.7, 0.2, 0.9, 0.5]), top=1) == [2, 0]
    task = Regression().fit(numbers.numpy())
    moved = numbers + 5e-4 * torch.tensor(task.std)
    assert task.agree(numbers, moved).all()
    assert task.largest_difference(numbers, moved) == pytest.approx(5e-4, rel=0.05)
    assert task.agree(numbers, numbers + 0.09 * torch.tensor(task.std)).all()
    assert not task.agree(numbers, numbers + 0.11 * torch.tensor(task.std)).any()


def test_neighbouring_numbers_are_the_same_answer():
    task = Regression((101325.0,), (10.0,))
    answers = torch.tensor([[101325.0], [101340.0]])
    neighbours = torch.nextafter(answers, torch.tensor(torch.inf))
    assert task.largest_difference(answers, neighbours) == 0
    assert task.largest_difference(answers, answers + 0.1) == pytest.approx(0.01, rel=0.2)
    assert np.isnan(task.largest_difference(answers, answers * torch.nan))


@pytest.mark.parametrize("task", [Classification(), MultiLabel(), Regression((0.5, -2.0), (3.0, 0.1))])
def test_a_task_is_read_as_it_was_recorded(task):
    assert read_task({"classes": ["a", "b"], **record_task(task)}) == task
    assert ("task" in record_task(task)) is not isinstance(task, Classification)


def test_what_is_no_record_of_a_task_is_refused():
    for entry in ({"name": "segmentation"}, {"name": "regression", "mean": [1.0], "std": [1.0, 2.0]}, {}):
        with pytest.raises(ValueError, match="task"):
            read_task({"classes": ["a"], "task": entry})


BOTH = ("flag", "score")


@pytest.mark.parametrize(
    ("task", "targets", "words"),
    [
        (MultiLabel(), np.zeros((3, 3), np.uint8), r"must be uint8 \(N, 2\)"),
        (MultiLabel(), np.zeros((3, 2), np.int64), "they are int64"),
        (MultiLabel(), np.array([[0, 2]], np.uint8), "must be 0 or 1, but that of image 0 for the label 'score' is 2"),
        (Regression(), np.zeros((3, 2)), r"must be float32 \(N, 2\), .* they are float64"),
        (Regression(), np.array([[0, np.nan]], np.float32), "finite numbers, but that of image 0 for 'score' is nan"),
        (Classification(), np.zeros((3, 2), np.uint8), "must be whole numbers"),
        (Classification(), np.array([0, 2]), "between 0 and 1, for 2 classes, but number 1 is 2"),
    ],
)
def test_targets_of_another_form_are_refused(task, targets, words):
    with pytest.raises(InputError, match=words):
        task.check(targets, BOTH, "labels")


@pytest.mark.parametrize(
    ("task", "targets", "words"),
    [
        (
            MultiLabel(),
            np.array([[1, 1], [1, 0], [0, 0], [0, 0]], np.uint8),
            "'score' of data set 'x' is on 1 of the 4",
        ),
        (
            MultiLabel(),
            np.array([[1, 1], [1, 1], [0, 1], [0, 1]], np.uint8),
            "'score' of data set 'x' is on 4 of the 4",
        ),
        (Regression(), np.array([[1, 7], [2, 7], [3, 7]], np.float32), "'score' of data set 'x' is 7 for all 3 images"),
    ],
)
def test_outputs_that_say_nothing_are_refused(task, targets, words):
    with pytest.raises(InputError, match=words):
        task.check_training(targets, BOTH, "x")
