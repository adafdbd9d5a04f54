"""The teacher in the loop: searches that are stopped and go on, and what second order looks ahead with."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from nasplug_sd_darts.voting import Voting
from torch import Tensor

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.data import BatchStream, MemoryImages, divide
from nasplug.engine import Trainer, train
from nasplug.parts import Batch, Choices, DistillationTeacher, Network, PruningSchedule, Stage, Supernet
from nasplug.store.checkpoint import load_checkpoint, save_checkpoint
from nasplug.values import ImageShape, Step, StepInfo, Training, Update, Verdict

SHAPE = ImageShape(channels=1, size=8, classes=3)
CPU = torch.device("cpu")


@attrs.define
class Deleting(PruningSchedule):
    """Deletes one column of candidates in the middle of the search."""

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        doomed = torch.zeros_like(choices.kept)
        doomed[:, 2] = now.step == 6
        return Verdict(deleted=choices.delete(doomed))


def search(teacher: DistillationTeacher | None = None, order: str = "first") -> Trainer:
    """Five epochs of two steps: a state is taken after every epoch, and the votes count from the second on."""
    training = Training(epochs=5, batch_size=6, lr=0.05)
    torch.manual_seed(0)
    space = Darts(operations=("nadd3",), cells=2, channels=2, nodes=2)
    net = space.supernet(SHAPE)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images, optimizer = MemoryImages(pixels, np.arange(24) % 3), Bilevel(alpha_lr=0.1, order=order)
    streams = {
        name: BatchStream(
            images,
            indices,
            training=training,
            mean=(0.5,),
            std=(0.3,),
            flips=False,
            shift=1,
            seed=0,
            phase="search",
            split=name,
            device=CPU,
        )
        for name, indices in divide(np.arange(24), optimizer.splits(), 0).items()
    }
    stages = (teacher or Voting(teachers=2, start=0, ramp=0)).stages(net, SHAPE, None)
    return Trainer("search", net, optimizer, Deleting(), stages, training, streams, CPU)


@pytest.mark.parametrize(("order", "stops"), [("first", (3, 7, 8)), ("second", (7,))])
def test_a_resumed_search_equals_one_that_never_stopped(order: str, stops: tuple[int, ...], tmp_path: Path) -> None:
    """Stopped before and after a state is stored, and after a deletion that some of the stored states predate."""

    def state(trainer: Trainer) -> dict[str, Tensor]:
        return {
            **trainer.net.state_dict(),
            **{f"stage.{name}": value for name, value in trainer.stages[0].state_dict().items()},
        }

    whole = search(order=order)
    whole.begin(torch.Generator().manual_seed(1))
    events: list[Step] = []
    for event in train(whole):
        events.append(event)
        if whole.step in stops:
            save_checkpoint(tmp_path / f"{whole.step}.safetensors", whole, len(events), 0.0)
    expected = state(whole)
    assert not whole.choices.kept.all()

    for stop in stops:
        torch.manual_seed(99)
        resumed = search(order=order)
        load_checkpoint(tmp_path / f"{stop}.safetensors", resumed)
        assert [event.loss for event in train(resumed)] == [event.loss for event in events[stop:]]
        actual = state(resumed)
        assert expected.keys() == actual.keys()
        assert all(torch.equal(value, actual[name]) for name, value in expected.items())


def test_the_votes_change_what_is_learnt() -> None:
    losses = []
    for start in (0, 4):
        trainer = search(Voting(teachers=2, start=start, ramp=0, pace="paper"))
        trainer.begin(torch.Generator().manual_seed(1))
        losses.append([event.loss for event in islice(train(trainer), 4)])
    voting, waiting = losses
    assert voting[:2] == waiting[:2]
    assert all(with_votes > without for with_votes, without in zip(voting[2:], waiting[2:], strict=True))


class RecordingTeacher(DistillationTeacher, Stage):
    """Records the updates for which its loss is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[Update] = []

    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> tuple[Stage]:
        return (self,)

    def forward(self, net: Network, batch: Batch, update: Update, now: StepInfo) -> Tensor:
        self.updates.append(update)
        return net.outputs(batch.images).logits.square().mean()


def test_second_order_looks_ahead_to_what_the_weights_will_learn() -> None:
    """A teacher of the weights is also used in the virtual steps of the weights."""
    teacher = RecordingTeacher()
    trainer = search(teacher, order="second")
    trainer.begin(torch.Generator().manual_seed(1))
    next(iter(train(trainer)))
    outer = Update("train.alpha", moves_weights=False, moves_alpha=True)
    inner = Update("train.weights", moves_weights=True, moves_alpha=False)
    assert teacher.updates == [inner, outer, inner, inner, inner]
