from __future__ import annotations

import json
from collections import Counter

import attrs
import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.engine import Trainer, train
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import InputError
from nasplug.parts import (
    Batch,
    Choices,
    read_state,
    write_state,
)
from nasplug.values import StepClock, Training, Update

CLOCK = StepClock(steps_per_epoch=6, epochs=4)


def make_optimizer(choices: Choices, seed: int = 0, **options: object) -> SinglePath:
    optimizer = SinglePath(**options)
    optimizer.initialise(choices, torch.Generator().manual_seed(seed))
    return optimizer


@pytest.fixture
def space(layered):
    return layered.Layered()


@pytest.fixture
def choices(space) -> Choices:
    return Choices(space.choice_list())


def test_the_weights_learn_on_their_share_and_alpha_does_not():
    optimizer = SinglePath()
    assert optimizer.splits() == {"train.weights": 1.0}
    assert optimizer.updates(CLOCK.at(0)) == (Update("train.weights", moves_weights=True, moves_alpha=False),)
    assert (optimizer.learns_alpha, optimizer.trains, optimizer.decides) == (False, True, False)


def test_uniform_sampling_gives_architectures_of_the_space(space, choices):
    optimizer = make_optimizer(choices)
    every = set(space.paths(None).enumerate())
    masks = [optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)]
    sampled = [space.decode(choices, mask.float()) for mask in masks]
    assert set(sampled) <= every
    assert len(set(sampled)) > 15
    for mask, genotype in zip(masks, sampled, strict=True):
        assert torch.equal(mask, space.encode(genotype, choices))


@pytest.mark.parametrize("sampling", ["uniform", "fair"])
def test_a_sample_is_a_function_of_seed_stage_and_step(space, choices, sampling):
    first, second, other = (make_optimizer(choices, seed, sampling=sampling) for seed in (1, 1, 2))
    write_state(second, json.loads(json.dumps(read_state(first))))

    def samples(optimizer: SinglePath, steps: range, stage: int = 0) -> list[list[list[bool]]]:
        clock = attrs.evolve(CLOCK, stage=stage)
        return [optimizer.sample(space, choices, clock.at(step)).tolist() for step in steps]

    assert samples(first, range(12))[7:] == samples(second, range(7, 12))
    assert samples(first, range(12)) != samples(other, range(12))
    assert samples(first, range(12)) != samples(first, range(12), stage=1)


def test_fair_sampling_uses_each_candidate_once_in_each_round(space, choices):
    optimizer = make_optimizer(choices, sampling="fair")
    masks = torch.stack([optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)])
    assert torch.equal(masks.sum(2), torch.ones(24, len(choices), dtype=torch.long))
    long = masks[:, choices.rows["1/depth"], 1]
    orders = set()
    for row, choice in enumerate(choices):
        count = len(choice.candidates)
        # What belongs to a candidate of another choice is trained only with it.
        trained = masks[long] if choice.parent is not None else masks
        rounds = trained[:, row, :count].reshape(-1, count, count)
        assert torch.equal(rounds.sum(1), torch.ones_like(rounds.sum(1)))
        orders |= {(choice.name, *one_round.int().argmax(1).tolist()) for one_round in rounds}
    # Six choices and 4 to 12 rounds: rounds differ, and their orders differ between choices.
    assert len(orders) > 12


def test_fair_sampling_is_refused_where_a_genotype_holds_more_than_one_candidate(space):
    SinglePath(sampling="fair").check(space, Training())
    SinglePath().check(Darts(), Training())
    with pytest.raises(InputError, match=r"'darts' hold any number of the choice 'normal/2<-0'.*sampling=uniform"):
        SinglePath(sampling="fair").check(Darts(), Training())


@pytest.mark.parametrize("sampling", ["uniform", "fair"])
def test_what_is_deleted_is_not_sampled(space, choices, sampling):
    optimizer = make_optimizer(choices, sampling=sampling)
    deleted = torch.zeros_like(choices.kept)
    deleted[choices.rows["0/0"], 1] = deleted[choices.rows["1/1"], :2] = True
    choices.delete(deleted)
    sampled = Counter()
    for step in range(24):
        mask = optimizer.sample(space, choices, CLOCK.at(step))
        assert not (mask & deleted).any()
        for name in ("0/0", "0/1", "1/1"):
            (column,) = mask[choices.rows[name]].nonzero()[:, 0].tolist()
            sampled[name, column] += 1
    assert sampled["1/1", 2] == 24
    assert min(sampled["0/0", 0], sampled["0/0", 2]) >= 6
    assert min(sampled["0/1", column] for column in range(3)) >= 3


def test_a_cell_that_is_sampled_in_place_of_a_deleted_one_has_its_layers(layered, space, choices):
    optimizer = make_optimizer(choices)
    deleted = torch.zeros_like(choices.kept)
    deleted[choices.rows["1/depth"], 0] = True
    choices.delete(deleted)
    masks = [optimizer.sample(space, choices, CLOCK.at(step)) for step in range(24)]
    assert {int(mask[choices.rows["1/2"]].sum()) for mask in masks} == {1}


def test_the_weight_of_an_active_candidate_is_one_as_in_a_stand_alone_network():
    choices = Choices(Darts(choices="node", operations=("skip_connect",)).choice_list())
    choices.relaxation = SinglePath().relax
    with torch.no_grad():
        choices.alpha.normal_()
    mask = choices.valid_mask.clone()
    mask[0, 1] = False
    with choices.only(mask):
        assert torch.equal(choices.weights(), mask.float())


class Noise:
    steps_per_epoch = 3

    def batch(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        return Batch(torch.randn(4, 1, 4, 4, generator=generator), torch.tensor([0, 1, 2, 3]))


def test_a_step_trains_only_the_path_that_it_samples(layered, space):
    torch.manual_seed(0)
    net = space.supernet(layered.SHAPE)
    optimizer = SinglePath()
    # Weight decay and momentum would change all weights that they are applied to.
    training = Training(epochs=2, lr=0.1, weight_decay=0.1, momentum=0.9)
    streams = {name: Noise() for name in optimizer.splits()}
    cpu = torch.device("cpu")
    trainer = Trainer("search", net, optimizer, Keep(), [LabelStage()], training, streams, cpu, space=space)
    trainer.begin(torch.Generator().manual_seed(0))
    trained = set()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for step in train(trainer):
        mask = optimizer.sample(space, net.choices, trainer.clock.at(step.step - 1))
        after = {name: value.clone() for name, value in net.state_dict().items()}
        for key, layer in net.layers.items():
            for column in range(3):
                name = f"layers.{key}.candidates.{column}.0.weight"
                assert torch.equal(before[name], after[name]) != bool(mask[layer.row, column]), name
                trained |= {name} if mask[layer.row, column] else set()
        before = after
    assert len(trained) > 8
    assert net.choices.active_count == net.choices.valid_mask.sum()
