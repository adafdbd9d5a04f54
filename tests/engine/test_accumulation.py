"""The gradients of parts of a batch are those of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.engine import Trainer
from nasplug.engine.accumulation import Batches, accumulate_gradients
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import InputError
from nasplug.parts import Batch, Network, Objective, Outputs, TorchOptimizers
from nasplug.values import Training, Update
from tests.engine.searches import EDGES, SHAPE, Noise, trainer

CPU = torch.device("cpu")


class WithoutNorms(Network):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.classify = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, SHAPE.classes)
        self.unread = nn.Parameter(torch.ones(2))

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.classify(self.conv(images).relu().mean((2, 3))), ())


def plain(accumulate: int, weights: Tensor | None = None) -> Trainer:
    torch.manual_seed(0)
    options = Training(epochs=1, batch_size=6, accumulate=accumulate, lr=0.3, clip=0.05)
    streams = {"train": Noise(CPU, weights)}
    return Trainer("p", WithoutNorms().double(), Fixed(), Keep(), [LabelStage()], options, streams, CPU)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.2, 1.0, 3.0])])
@pytest.mark.parametrize("parts", [2, 3])
def test_steps_in_parts_are_the_steps_of_whole_batches(parts: int, weights: Tensor | None) -> None:
    whole, divided = plain(1, weights), plain(parts, weights)
    for _ in range(5):
        losses = [float(each.train_step(each.clock.at(each.step)).loss) for each in (whole, divided)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)  # losses are float32
        for each in (whole, divided):
            each.step += 1
    for one, other in zip(whole.net.parameters(), divided.net.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
    assert torch.equal(divided.net.unread, torch.ones(2, dtype=torch.float64))  # no gradient, no decay


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_class_in_one_part_alone_weighs_as_in_the_whole_batch(smoothing: float) -> None:
    torch.manual_seed(0)
    linear, images = nn.Linear(5, 3).double(), torch.randn(8, 5, dtype=torch.float64)
    weights = torch.tensor([8 / 18, 8 / 3, 8 / 3], dtype=torch.float64)
    batch = Batch(images, torch.tensor([0, 0, 0, 0, 0, 0, 1, 2]), weights)
    expected = nn.functional.cross_entropy(linear(images), batch.labels, weights, label_smoothing=smoothing)
    gradients = torch.autograd.grad(expected, list(linear.parameters()))

    def objective_on(batches: Batches) -> Objective:
        return Objective("train", lambda split: batches(split).loss(linear(batches(split).images), smoothing))

    torch_optimizers = TorchOptimizers(torch.optim.SGD(linear.parameters()), None, clip_weights=0, clip_alpha=0)
    update = Update("train", moves_weights=True, moves_alpha=False)
    loss = accumulate_gradients(Fixed(), update, lambda _: batch, 4, objective_on, torch_optimizers)

    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for parameter, gradient in zip(linear.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-15)


def test_alpha_has_the_mean_of_the_gradients_of_all_parts() -> None:
    made = trainer(EDGES, OneLevel(alpha_lr=0.1), Keep(), epochs=1, batch_size=6, accumulate=3)
    now = made.clock.at(0)
    (update,) = [each for each in made.optimizer.updates(now) if each.moves_alpha]
    batch = made.batches(now)(update.split)
    expected = []
    for number in range(3):
        part = part_of(batch, number)
        loss = made.stages[0](made.net, part, update, now)
        expected.append(torch.autograd.grad(loss, made.choices.alpha)[0])

    made._compute_gradients(update, made.batches(now), lambda batches: made.make_objective(update, batches, now))

    torch.testing.assert_close(made.choices.alpha.grad, torch.stack(expected).mean(0), rtol=1e-9, atol=1e-12)


def part_of(batch, number: int):
    rows = slice(2 * number, 2 * number + 2)
    return type(batch)(batch.images[rows], batch.labels[rows], batch.class_weights)


def test_both_splits_of_a_second_order_step_are_divided() -> None:
    made = trainer(EDGES, Bilevel(alpha_lr=0.1, order="second"), Keep(), epochs=1, batch_size=6, accumulate=3)
    sizes: set[int] = set()
    stage = made.stages[0]

    class Watched(LabelStage):
        def forward(self, net, batch, update, now):
            sizes.add(len(batch.labels))
            return stage(net, batch, update, now)

    made.stages[:] = [Watched()]
    made.train_step(made.clock.at(0))
    assert sizes == {2}


def test_a_batch_of_fewer_images_than_asked_for_is_not_divided() -> None:
    made, whole = plain(1), plain(1)
    made.training = Training(epochs=1, batch_size=8, accumulate=4, lr=0.3, clip=0.05)
    for each in (made, whole):
        each.train_step(each.clock.at(0))
    for one, other in zip(whole.net.parameters(), made.net.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("batch_size", "accumulate"), [(6, 4), (6, 6), (64, 33)])
def test_parts_must_be_equal_and_of_two_images(batch_size: int, accumulate: int) -> None:
    with pytest.raises(InputError, match=f"batch_size={batch_size} it is {accumulate}; make batch_size a multiple"):
        Training(batch_size=batch_size, accumulate=accumulate)
