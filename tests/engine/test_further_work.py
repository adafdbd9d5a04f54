"""What a supernet learns when it is trained further, for a selector."""

from __future__ import annotations

import attrs
import pytest
import torch

from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine.further_work import make_further_trainer
from nasplug.engine.plain.keep import Keep
from tests.engine.searches import EDGES, trainer


@pytest.mark.parametrize("warm_up", [0, 1, 2])
def test_alpha_learns_from_the_first_step_on_whatever_the_warm_up_of_the_search(warm_up: int) -> None:
    made = trainer(EDGES, Bilevel(alpha_lr=0.1, warm_up=warm_up), Keep(), epochs=3)
    assert made.candidates is None
    before = made.choices.alpha.detach().clone()
    made.train_step(made.clock.at(0))
    assert torch.equal(made.choices.alpha, before) == (warm_up > 0)

    before = made.choices.alpha.detach().clone()
    training = attrs.evolve(made.training, epochs=1)
    further = make_further_trainer(made, "fine-tuning/1", training, made.streams, made.choices.kept.clone())
    further.train_step(further.clock.at(0))
    assert not torch.equal(made.choices.alpha, before)
