from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
import torch
from nasplug_dna.blockwise import Blockwise
from nasplug_dna.frozen_teacher import Features, FrozenTeacher
from nasplug_dna.stage import BlockRater, BlockStage, sample_one_of_each
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.engine import Trainer
from nasplug.engine.plain.keep import Keep
from nasplug.parts import Batch, Network, Supernet, key_of
from nasplug.values import ImageShape, MapShape, StepClock, Training, Update

NOW, UPDATE, SHAPE = StepClock(1, 1).at(0), Update("train", moves_weights=True, moves_alpha=False), ImageShape(1, 8, 5)


def stages_for(net: Supernet, teacher: Network, **options: Any) -> list[BlockStage]:
    """In float64; adaptors are the same for the same supernet, whatever the order."""
    torch.manual_seed(3)
    net.float()
    stages = Blockwise(**options).stages(net, SHAPE, teacher.float())
    net.double(), teacher.double()
    return [cast("BlockStage", stage.double()) for stage in stages]


def taps(teacher: Network, images: Tensor) -> Sequence[Tensor]:
    return teacher.outputs(images).taps


def test_the_loss_of_a_block_by_hand(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    stages, images = stages_for(net, teacher), batches[0].images
    targets = taps(teacher, images)
    assert [stage.blocks for stage in stages] == [(0,), (1,), (2,)]
    for number, stage in enumerate(stages):
        bridge = stage.bridges[0]
        maps = [images] if number == 0 else bridge.enter(targets[number - 1])
        output = mix(bridge.output.mix, net.blocks()[number](maps))
        by_hand = ((output - targets[number]) ** 2).sum() / targets[number].numel()
        torch.testing.assert_close(stage(net, batches[0], UPDATE, NOW), by_hand)


def mix(convolution: nn.Module, x: Tensor) -> Tensor:
    return torch.einsum("oc,nchw->nohw", cast("Tensor", convolution.weight)[:, :, 0, 0], x)


def test_a_block_that_reads_two_maps_gets_the_teachers_feature_as_both(
    net: Supernet, teacher: Network, batches: list[Batch]
) -> None:
    stage = stages_for(net, teacher)[2]
    source = taps(teacher, batches[0].images)[1]
    maps = stage.bridges[0].enter(source)
    expected = net.blocks()[2].inputs
    assert expected == (MapShape(8, 8), MapShape(16, 4))  # a reduction lies between the two
    assert [MapShape(source.shape[1], source.shape[2]) for source in maps] == list(expected)
    older, newer = stage.bridges[0].inputs
    torch.testing.assert_close(maps[0], F.interpolate(mix(older.mix, source), scale_factor=2.0))
    torch.testing.assert_close(maps[1], mix(newer.mix, source))


@pytest.mark.parametrize("order", ["one-by-one", "together"])
def test_adaptors_learn_at_the_rate_of_their_block(net: Supernet, teacher: Network, order: str) -> None:
    names = ("train.weights", "train.rating")
    streams = {name: cast("Any", SimpleNamespace(steps_per_epoch=1, batch=lambda step: None)) for name in names}
    for stage in stages_for(net, teacher, order=order, rates=(0.5, 1.0, 2.0)):
        training = Training(epochs=1, lr=0.1, optimizer="adam", decay_norms=False)
        trainer = Trainer("search", net, SinglePath(), Keep(), [stage], training, streams, torch.device("cpu"))
        trainer.set_rates(NOW)
        groups = trainer.torch_optimizers.weights.param_groups
        rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
        for number, bridge in zip(stage.blocks, stage.bridges, strict=True):
            trained = [*bridge.parameters(), *net.blocks()[number].parameters()]
            assert len(list(bridge.parameters())) == (1, 2, 3)[number]
            assert {rates[id(parameter)] for parameter in trained} == {0.1 * (0.5, 1.0, 2.0)[number]}


@pytest.mark.parametrize("block_input", ["teacher", "student"])
def test_gradients_reach_only_the_block_and_its_adaptors(
    net: Supernet, teacher: Network, batches: list[Batch], block_input: str
) -> None:
    stages = stages_for(net, teacher, block_input=block_input)
    for number, stage in enumerate(stages):
        stage(net, batches[0], UPDATE, NOW).backward()
        reached = {id(p) for p in net.parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        inside = {id(parameter) for parameter in net.blocks()[number].parameters()}
        alpha = {id(net.choices.alpha)}
        assert alpha <= reached <= inside | alpha
        rows = net.choices.alpha.grad.abs().sum(1) > 0
        assert torch.equal(rows, net.choices.rows_of([number]))
        for other in stages:
            for parameter in other.parameters():
                assert (parameter.grad is not None) == (other is stage)
        assert all(parameter.grad is None for parameter in teacher.parameters())
        for module in (net, stage):
            module.zero_grad(set_to_none=True)


def test_one_by_one_and_together_train_the_same_blocks(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    trained = []
    for order in ("one-by-one", "together"):
        student = copy.deepcopy(net)
        stages = stages_for(student, teacher, order=order)
        assert len(stages) == (1 if order == "together" else 3)
        for stage in stages:
            weights = [weight for number in stage.blocks for weight in student.blocks()[number].parameters()]
            torch_optimizer = torch.optim.SGD([*weights, *stage.parameters()], lr=0.1, momentum=0.9)
            for batch in batches:
                torch_optimizer.zero_grad()
                stage(student, batch, UPDATE, NOW).backward()
                torch_optimizer.step()
        adaptors = [parameter for stage in stages for parameter in stage.parameters()]
        trained.append((student, adaptors))
    (apart, apart_adaptors), (together, together_adaptors) = trained
    triples = zip(apart.named_parameters(), together.parameters(), net.parameters(), strict=True)
    for (name, weight), other, before in triples:
        torch.testing.assert_close(weight, other, rtol=1e-12, atol=1e-12, msg=name)
        assert torch.equal(weight, before) == (name.startswith("classifier") or name == "choices.alpha"), name
    torch.testing.assert_close(apart_adaptors, together_adaptors, rtol=1e-12, atol=1e-12)


def test_together_the_weighted_losses_add_up(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    weights = (0.5, 2.0, 3.0)
    apart = [stage(net, batches[0], UPDATE, NOW) for stage in stages_for(net, teacher)]
    (stage,) = stages_for(net, teacher, order="together", block_weights=weights, rates=(0.4, 1.0, 0.4))
    summed = sum(weight * loss for weight, loss in zip(weights, apart, strict=True))
    torch.testing.assert_close(stage(net, batches[0], UPDATE, NOW), summed)
    assert stage.rates == {0: 0.4, 1: 1.0, 2: 0.4}
    assert [stage.rates for stage in stages_for(net, teacher, rates=(0.4, 1.0, 0.4))] == [{0: 0.4}, {1: 1.0}, {2: 0.4}]


@pytest.mark.parametrize("order", ["one-by-one", "together"])
def test_a_block_may_read_the_students_own_features(
    net: Supernet, teacher: Network, batches: list[Batch], order: str
) -> None:
    stages, images = stages_for(net, teacher, block_input="student", order=order), batches[0].images
    bridges = [bridge for stage in stages for bridge in stage.bridges]
    source, losses = images, []
    for number, target in enumerate(taps(teacher, images)):
        output = net.blocks()[number](bridges[number].enter(source))
        losses.append(F.mse_loss(bridges[number].output(output), target))
        source = output
    total = sum(stage(net, batches[0], UPDATE, NOW) for stage in stages)
    torch.testing.assert_close(total, sum(losses))


def test_a_rater_rates_what_training_trains(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    (together,) = stages_for(net, teacher, order="together", rating="mse")
    stages = stages_for(net, teacher, rating="mse")
    raters = [rater for stage in stages for rater in stage.raters(net)]
    assert [rater.block for rater in raters] == [rater.block for rater in together.raters(net)] == [0, 1, 2]
    for stage, rater in zip(stages, raters, strict=True):
        rating = rater.rate(rater.view(rater.inputs(batches[0])), batches[0])
        torch.testing.assert_close(rating, stage(net, batches[0], UPDATE, NOW).detach())


def test_the_rating_by_hand(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    rater = stages_for(net, teacher)[1].raters(net)[0]
    stage = stages_for(net, teacher)[1]
    with torch.no_grad():
        output, target = rater.view(rater.inputs(batches[0])), taps(teacher, batches[0].images)[1]
        deviation = ((target - target.mean()) ** 2).mean().sqrt()
        by_hand = (mix(stage.bridges[0].output.mix, output) - target).abs().mean() / deviation
    torch.testing.assert_close(rater.rate(output, batches[0]), by_hand)


def test_rating_normalises_the_teacher_by_training_images_as_released(
    net: Supernet, teacher: Network, batches: list[Batch]
) -> None:
    released = copy.deepcopy(teacher).train()
    calibration, rated = batches[:2]
    norms = [module for module in released.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        trained_on = taps(released, calibration.images)
        expected = taps(released.eval(), rated.images)
    stage = stages_for(net, teacher, teacher_mode="measured")[1]
    loss = stage(net, batches[2], UPDATE, NOW)
    assert torch.equal(loss, stages_for(net, copy.deepcopy(teacher))[1](net, batches[2], UPDATE, NOW))
    (rater,) = stage.raters(net)

    rater.prepare([calibration])

    with torch.no_grad():
        for batch, features in ((calibration, trained_on), (rated, expected)):
            maps, by_hand = rater.inputs(batch), stage.bridges[0].enter(features[0])
            torch.testing.assert_close(maps, by_hand, rtol=1e-12, atol=1e-12)
        output, target = rater.view(rater.inputs(rated)), expected[1]
        distance = (mix(stage.bridges[0].output.mix, output) - target).abs().mean() / target.std(correction=0)
    torch.testing.assert_close(rater.rate(output, rated), distance, rtol=1e-8, atol=0)
    assert torch.equal(stage(net, batches[2], UPDATE, NOW), loss), "training is not changed by rating"


def test_a_batch_goes_through_the_teacher_once(net: Supernet, teacher: Network, batches: list[Batch]) -> None:
    stage = stages_for(net, teacher)[1]
    setup, passes = stage._setup[0], []

    def counted(images: Tensor, last: int) -> Sequence[Tensor]:
        passes.append(last)
        return setup.frozen_teacher(images, last)

    rater = BlockRater(net, 1, attrs.evolve(setup, frozen_teacher=FrozenTeacher(cast("Features", counted))))
    outputs = [rater.view(rater.inputs(batch)) for batch in batches]
    ratings = [float(rater.rate(out, batch)) for out, batch in zip(outputs * 2, batches * 2, strict=True)]
    assert passes == [1, 1, 1]
    assert ratings[:3] == ratings[3:]
    assert len(set(ratings)) == 3
    batches.clear()
    assert len(rater._targets) == 0, "targets live no longer than their batches"


@pytest.mark.parametrize("order", ["one-by-one", "together"])
def test_steps_are_recorded_only_with_a_teacher_whose_operations_are_known(
    net: Supernet, teacher: Network, order: str
) -> None:
    stages = stages_for(net, teacher, order=order)
    assert {key_of(stage, NOW, methods=("forward",)) for stage in stages} == {()}
    teacher.static_graph = False
    assert {key_of(stage, NOW, methods=("forward",)) for stage in stages} == {None}


@pytest.mark.parametrize("resolution", [0, 16])
def test_steps_with_a_network_of_torchvision_are_recorded(net: Supernet, resolution: int) -> None:
    options = {"model": "resnet18", "weights": "random", "taps": ("layer1", "layer2", "layer3")}
    stages = Blockwise(**options, resolution=resolution).stages(net.float(), SHAPE, None)
    assert {key_of(stage, NOW, methods=("forward",)) for stage in stages} == {()}


def test_a_stage_saves_its_adaptors_and_nothing_of_the_teacher(net: Supernet, teacher: Network) -> None:
    first, _, last = stages_for(net, teacher)
    assert set(first.state_dict()) == {"bridges.0.output.mix.weight"}
    assert set(last.state_dict()) == {
        "bridges.0.inputs.0.mix.weight",
        "bridges.0.inputs.1.mix.weight",
        "bridges.0.output.mix.weight",
    }


def test_rating_on_the_students_features_goes_through_one_path_of_the_blocks_before(
    net: Supernet, teacher: Network, batches: list[Batch]
) -> None:
    stages = stages_for(net, teacher, block_input="student")
    rater = stages[1].raters(net)[0]
    kept = net.choices.kept.clone()
    with net.choices.only(torch.zeros_like(kept)):  # in rating, no candidate of another block is on the path
        inputs = rater.inputs(batches[0])
    mask = sample_one_of_each(net.choices, Random(1))
    assert mask.sum(1).tolist() == [1] * len(kept)
    with torch.no_grad(), net.choices.only(mask):
        before = net.blocks()[0]([batches[0].images])
    torch.testing.assert_close(inputs, stages[1].bridges[0].enter(before))
    again = stages_for(net, teacher, block_input="student")[1].raters(net)[0]
    torch.testing.assert_close(again.inputs(batches[0]), inputs)
    assert not torch.equal(rater.inputs(batches[0])[0], inputs[0]), "another path for the next batch"
