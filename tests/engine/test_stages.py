from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType

import attrs
import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine import Trainer, train
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.parts import Batch, Stage
from nasplug.values import ImageShape, Training, Verdict

SHAPE = ImageShape(1, 8, 5)


class Shrinks(Stage):
    """Makes the output of one block small."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block, self.blocks = block, (block,)

    def forward(self, net, batch, turn, now):
        block = net.blocks()[self.block]
        if self.block == 0:
            return block((batch.images,)).pow(2).mean()
        maps = [torch.ones(4, shape.channels, shape.size, shape.size) * batch.images.mean() for shape in block.inputs]
        return block(maps).mul(torch.arange(block.output.size)).mean()


class Noise:
    """Four random images a step, a function of the step."""

    steps_per_epoch = 2

    def __init__(self) -> None:
        self.asked: list[int] = []

    def batch(self, step: int) -> Batch:
        self.asked.append(step)
        generator = torch.Generator().manual_seed(step)
        return Batch(torch.randn(4, 1, 8, 8, generator=generator), torch.tensor([0, 1, 2, 3]))


def trainer(optimizer, stages, schedule=None, **training) -> Trainer:
    torch.manual_seed(0)
    space = Darts(topology="per-cell", operations=("nadd3",), cells=3, nodes=2, channels=4)
    streams = {name: Noise() for name in optimizer.splits()}
    made = Trainer(
        "search",
        space.supernet(SHAPE),
        optimizer,
        schedule or Keep(),
        stages,
        Training(**{"epochs": 2, "lr": 0.1, **training}),
        streams,
        torch.device("cpu"),
        space=space,
    )
    made.begin(torch.Generator().manual_seed(0))
    return made


def values(net) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def test_a_stage_moves_the_weights_and_the_alpha_of_its_blocks_alone():
    # A high weight decay would move everything that a mover reaches.
    optimizer = Bilevel(alpha_lr=0.1, alpha_weight_decay=0.5)
    made = trainer(optimizer, [Shrinks(0), Shrinks(2)], weight_decay=0.1)
    net = made.net
    inside = {id(parameter): number for number, block in enumerate(net.blocks()) for parameter in block.parameters()}
    states = [values(net), *(values(net) for step in train(made) if step.step % 4 == 0)]
    assert len(states) == 3
    rows = [made.choices.rows_of((block,)) for block in range(3)]
    for block, (before, after) in zip((0, 2), pairwise(states), strict=True):
        for name, parameter in net.named_parameters():
            same = torch.equal(before[name], after[name])
            if name == "choices.alpha":
                assert not torch.equal(before[name][rows[block]], after[name][rows[block]])
                assert torch.equal(before[name][~rows[block]], after[name][~rows[block]])
            else:
                assert same == (inside.get(id(parameter)) != block), name


def test_steps_count_through_all_stages_and_each_sees_other_batches():
    made = trainer(Fixed(), [Shrinks(0), Shrinks(1)])
    steps = list(train(made))
    assert [(step.step, step.epoch, step.stage) for step in steps] == [
        (1, 0, 0), (2, 0, 0), (3, 1, 0), (4, 1, 0), (5, 2, 1), (6, 2, 1), (7, 3, 1), (8, 3, 1)
    ]  # fmt: skip
    assert made.streams["train"].asked == list(range(8))
    assert made.over
    assert (made.steps, made.steps_done) == (8, 8)


def test_a_stage_may_last_several_times_as_long_and_its_rate_falls_as_much_more_slowly():
    stages = [Shrinks(0), Shrinks(1), Shrinks(2)]
    stages[1].length = 3
    made = trainer(Fixed(), stages, lr_schedule="step", lr_decay=0.5, lr_warmup=0.5)
    rates, steps = [], []
    for step in train(made):
        rates.append(made.torch_optimizers.weights.param_groups[0]["lr"] / 0.1)
        steps.append((step.step, step.epoch, step.stage))
    # Two epochs of two steps; the first step of each stage of length 1 is warm-up, in the other one the first three.
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 1 / 3, 2 / 3, *[1] * 4, *[0.5] * 6, 1, 1, 0.5, 0.5])
    assert steps == [(number + 1, number // 2, (0 if number < 4 else 1 if number < 16 else 2)) for number in range(20)]
    assert made.streams["train"].asked == list(range(20))
    assert (made.steps, made.steps_done, made.over) == (20, 20, True)


@attrs.define
class StopsAt(Keep):
    """Ends a stage after its third step."""

    def after_step(self, choices, now):
        return Verdict(stop=now.step == 2)


def test_a_stage_that_was_stopped_is_not_gone_on_with():
    made = trainer(Fixed(), [Shrinks(0), Shrinks(1)], schedule=StopsAt())
    for step in train(made):
        if step.stop:
            break
    assert (made.stage, made.step) == (0, 4)
    rest = list(train(made))  # what a resumed run does
    assert [step.stage for step in rest] == [1, 1, 1]
    assert made.over
    assert list(train(made)) == []


def test_blocks_learn_at_their_own_rates():
    stage = Shrinks(0)
    stage.blocks, stage.rates = (0, 1, 2), MappingProxyType({0: 0.5, 2: 2.0})
    made = trainer(Fixed(), [stage])
    now = made.clock.at(0)
    made.set_rates(now)
    rates = {}
    for group in made.torch_optimizers.weights.param_groups:
        rates |= {id(parameter): group["lr"] for parameter in group["params"]}
    for block, factor in enumerate((0.5, 1.0, 2.0)):
        found = [rates[id(parameter)] for parameter in made.net.blocks()[block].parameters()]
        assert found == [pytest.approx(0.1 * factor)] * len(found)


class Half(Fixed):
    """Lets the first candidate of every choice count alone."""

    def sample(self, space, choices, now):
        mask = torch.zeros_like(choices.valid_mask)
        mask[:, 0] = True
        return mask


def test_what_is_not_drawn_does_not_take_part():
    made = trainer(Half(), [Shrinks(0)], weight_decay=0.1)
    cell = made.net.cells[0]
    before = {name: values(module) for name, module in cell.candidates.items()}
    list(train(made))
    moved = {
        name.partition("@")[0]
        for name, module in cell.candidates.items()
        if any(not torch.equal(before[name][key], value) for key, value in module.named_parameters())
    }
    assert moved == {"sep_conv_3x3"}
    assert made.choices.active_count == made.choices.valid_mask.sum()
