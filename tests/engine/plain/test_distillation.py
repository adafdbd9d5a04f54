from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from nasplug.data import BatchStream, MemoryImages
from nasplug.engine import EagerRunner, Runner, Trainer, train
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.plain.distillation import DistillationStage
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.parts import Batch, Network, Outputs, Stage
from nasplug.parts.classification import CLASSIFICATION
from nasplug.values import StepClock, Training, Update

divergence = CLASSIFICATION.divergence
NOW, TURN = StepClock(1, 1).at(0), Update("train", moves_weights=True, moves_alpha=False)


class TwoHeads(Network):
    """Three features, a batch norm and dropout, four classes, with an auxiliary head if it trains."""

    static_graph = True

    def __init__(self, auxiliary: bool = False) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(3), nn.Dropout(0.5)
        self.main, self.side = nn.Linear(3, 4), nn.Linear(3, 4)
        self.with_auxiliary = auxiliary

    def outputs(self, images: Tensor) -> Outputs:
        features = self.norm(images)
        auxiliary = self.side(features) if self.with_auxiliary and self.training else None
        return Outputs(self.main(self.drop(features)), (), auxiliary)


def student(auxiliary: bool = False) -> TwoHeads:
    net = TwoHeads(auxiliary).double()
    net.drop = nn.Identity()
    return net.train()


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 3, 0, 1]))


def by_hand(logits: Tensor, targets: Tensor, labels: Tensor, weight: float, temperature: float, smoothing: float):
    """The loss of one head, image by image and class by class."""
    count, classes = logits.shape
    total = torch.zeros((), dtype=torch.float64)
    for ours, theirs, label in zip(logits, targets, labels.tolist(), strict=True):
        hard, soft = (each / each.sum() for each in (ours.exp(), (ours / temperature).exp()))
        taught = (theirs / temperature).exp() / (theirs / temperature).exp().sum()
        for place in range(classes):
            target = smoothing / classes + (1 - smoothing) * (place == label)
            total = total - (1 - weight) * target * hard[place].log()
            total = total + weight * temperature**2 * taught[place] * (taught[place].log() - soft[place].log())
    return total / count


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_and_its_gradient_are_those_of_the_formula_for_both_heads(batch, weight, temperature):
    net, teacher = student(auxiliary=True), TwoHeads().double()
    stage = DistillationStage(LabelStage(0.1, 0.4), teacher, weight, temperature)
    loss = stage(net, batch, TURN, NOW)
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(loss, parameters)

    out, targets = net.outputs(batch.images), teacher(batch.images).detach()
    assert out.auxiliary is not None
    main, side = (
        by_hand(logits, targets, batch.labels, weight, temperature, 0.1) for logits in (out.logits, out.auxiliary)
    )
    expected = main + 0.4 * side
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0, 20.0])
def test_the_gradient_of_the_divergence_is_t_times_the_difference_of_probabilities(temperature):
    """d/ds of T^2 KL is T (softmax(s / T) - softmax(t / T)), here divided by the number of images."""
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 5, 4, dtype=torch.float64).unbind()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(logits, targets, temperature), logits)
    expected = temperature * ((logits / temperature).softmax(1) - (targets / temperature).softmax(1)) / len(logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_at_high_temperature_the_divergence_is_the_distance_of_centred_logits():
    """Section 2.1 of the paper; without the factor T^2 it would vanish."""
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 5, 4, dtype=torch.float64).unbind()
    centred = [each - each.mean(1, keepdim=True) for each in (logits, targets)]
    distance = (centred[0] - centred[1]).square().sum(1).mean() / (2 * logits.shape[1])
    torch.testing.assert_close(divergence(logits, targets, 1e4), distance, rtol=1e-3, atol=0)
    assert float(divergence(targets, targets, 3.0)) == pytest.approx(0, abs=1e-15)


def test_weights_of_classes_count_for_the_labels_only(batch):
    net, teacher = student(), TwoHeads().double()
    weights = torch.tensor([3.0, 1.0, 0.5, 2.0])
    weighted = Batch(batch.images, batch.labels, weights)
    stage = DistillationStage(LabelStage(0.1), teacher, 0.3, 2.0)
    with torch.no_grad():
        logits, targets = net(batch.images).float(), teacher(batch.images).float()
    labels = nn.functional.cross_entropy(logits, batch.labels, weight=weights, label_smoothing=0.1)
    expected = 0.7 * labels + 0.3 * divergence(logits, targets, 2.0)
    torch.testing.assert_close(stage(net, weighted, TURN, NOW).detach(), expected)


def test_with_weight_1_labels_do_not_count(batch):
    net, teacher = student(), TwoHeads().double()
    stage = DistillationStage(LabelStage(0.1), teacher, 1.0, 2.0)
    other = Batch(batch.images, batch.labels.flip(0))
    assert torch.equal(stage(net, batch, TURN, NOW), stage(net, other, TURN, NOW))
    assert not torch.equal(LabelStage()(net, batch, TURN, NOW), LabelStage()(net, other, TURN, NOW))


def test_gradients_reach_the_student_alone_and_the_teacher_stays_as_it_is(batch):
    net, teacher = student(), TwoHeads().double()
    stage = DistillationStage(LabelStage(), teacher, 0.5, 4.0)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    stage.train()
    stage(net, batch, TURN, NOW).backward()
    assert all(parameter.grad is not None for parameter in (*net.main.parameters(), *net.norm.parameters()))
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert not teacher.training
    assert not any(module.training for module in teacher.modules())
    assert stage.state_dict() == {}
    assert list(stage.parameters()) == []
    assert torch.equal(stage(net, batch, TURN, NOW), stage(net, batch, TURN, NOW))  # the teacher drops nothing


def test_steps_are_recorded_only_with_a_teacher_whose_operations_are_known():
    teacher = TwoHeads()
    stage = DistillationStage(LabelStage(), teacher, 0.5, 4.0)
    assert stage.graph_key(NOW) == ()
    teacher.static_graph = False
    assert stage.graph_key(NOW) is None


def test_steps_ahead_of_the_host_are_those_one_by_one():
    trained = []
    for runner in (EagerRunner(), AheadRunner(poll=4)):
        torch.manual_seed(0)
        net, teacher = Small(4), Small(8)
        train_on_noise(net, DistillationStage(LabelStage(), teacher, 0.5, 4.0), runner)
        trained.append(net.state_dict())
    assert all(torch.equal(value, trained[1][name]) for name, value in trained[0].items())


# Digits.


class Small(Network):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.layers(images), ())


def train_on_noise(net: Network, stage: Stage, runner: Runner) -> None:
    pixels = torch.randint(0, 256, (30, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    train_on(net, stage, MemoryImages(pixels, np.arange(30) % 10), np.arange(30), batch_size=3, runner=runner)


def train_on(
    net: Network,
    stage: Stage,
    images: MemoryImages,
    indices: np.ndarray,
    batch_size: int = 64,
    runner: Runner | None = None,
) -> Network:
    training = Training(epochs=5, batch_size=batch_size, lr=0.05, augment="none")
    settings = {"mean": (0.3,), "std": (0.38,), "flips": False, "shift": 0, "seed": 0, "phase": "p", "split": "train"}
    cpu = torch.device("cpu")
    streams = {"train": BatchStream(images, indices, training=training, device=cpu, **settings)}
    for _ in train(Trainer("p", net, Fixed(), Keep(), [stage], training, streams, cpu), runner):
        pass
    return net.eval()


def test_on_digits_a_distilled_network_comes_nearer_to_its_teacher():
    digits = load_digits()
    pixels = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))[:, None]
    images, held_out = MemoryImages(pixels, digits.target), (pixels[1200:] / 255 - 0.3) / 0.38
    torch.manual_seed(0)
    teacher = train_on(Small(128), LabelStage(), images, np.arange(1200))
    nets = {}
    for weight in (0.0, 0.9):
        torch.manual_seed(1)
        stage = LabelStage() if weight == 0 else DistillationStage(LabelStage(), teacher, weight, 4.0)
        nets[weight] = train_on(Small(12), stage, images, np.arange(1200))
    with torch.no_grad():
        apart = {weight: float(divergence(net(held_out), teacher(held_out), 4.0)) for weight, net in nets.items()}
        errors = {
            weight: float((net(held_out).argmax(1) != torch.from_numpy(digits.target[1200:])).float().mean())
            for weight, net in nets.items()
        }
    assert apart[0.9] < 0.7 * apart[0.0], (apart, errors)
    assert max(errors.values()) < 0.2
