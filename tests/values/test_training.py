from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from nasplug.errors import InputError
from nasplug.values import Genotype, StepClock, Training
from nasplug.values.options import build, option_fields
from nasplug.values.recipe import RetrainOptions, SearchOptions
from nasplug.values.recipes import DARTS_CIFAR, DARTS_IMAGENET, EFFICIENTNET, PC_DARTS_IMAGENET


def rate(recipe: dict, epoch: float, steps_per_epoch: int = 100) -> float:
    training = build(Training, recipe, "retrain")
    return training.rate(StepClock(steps_per_epoch, training.epochs).at(round(epoch * steps_per_epoch)))


def test_darts_multiplies_its_rate_on_imagenet_by_0_97_after_every_epoch():
    assert [rate(DARTS_IMAGENET, epoch) for epoch in (0, 0.99, 1, 2.5, 249)] == pytest.approx(
        [0.1, 0.1, 0.097, 0.1 * 0.97**2, 0.1 * 0.97**249]
    )


def test_dna_warms_up_for_five_epochs_and_decays_every_third_epoch_from_the_start():
    # Epoch 5 lies behind the decay of epoch 3, which the warm-up hides.
    assert [rate(EFFICIENTNET, epoch) for epoch in (0, 2.5, 4.99, 5, 6, 8.99, 9)] == pytest.approx(
        [0.064 / 500, 0.064 * 251 / 500, 0.064, *(0.064 * 0.963**power for power in (1, 2, 2, 3))]
    )


@pytest.mark.parametrize("steps_per_epoch", [5, 10, 1251])
def test_efficientnet_decays_every_2_4_epochs_in_the_middle_of_an_epoch(steps_per_epoch):
    training = Training(lr=0.256, lr_schedule="step", lr_decay=0.97, lr_decay_epochs=2.4, epochs=350)
    clock = StepClock(steps_per_epoch, 350)
    rates = [training.rate(clock.at(step)) for step in range(12 * steps_per_epoch + 1)]
    falls = [step for step in range(1, len(rates)) if rates[step] < rates[step - 1]]
    # The first steps that have 2.4, 4.8, ... epochs behind them; 12 epochs hold five decays.
    assert falls == [-(-24 * number * steps_per_epoch // 10) for number in (1, 2, 3, 4, 5)]
    assert rates[-1] == pytest.approx(0.256 * 0.97**5)


def test_pc_darts_falls_linearly_and_five_times_as_slowly_in_the_last_five_epochs():
    values = {5: 0.25 * 240 / 245, 100: 0.25 * 145 / 245, 244: 0.25 / 245, 245: 0.25 / 245, 249: 0.25 / 245 / 5}
    assert [rate(PC_DARTS_IMAGENET, epoch) for epoch in values] == pytest.approx(list(values.values()))
    assert rate(PC_DARTS_IMAGENET, 4.99) == pytest.approx(0.25)


@pytest.mark.parametrize("epochs", range(1, 8))
def test_a_short_linear_tail_still_falls_from_the_whole_rate(epochs):
    training = Training(lr=1.0, lr_schedule="linear-tail", epochs=epochs)
    rates = [training.rate(StepClock(1, epochs).at(epoch)) for epoch in range(epochs)]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0


def test_darts_lets_its_rate_on_cifar_fall_along_a_cosine():
    assert [rate(DARTS_CIFAR, epoch) for epoch in (0, 150, 300)] == pytest.approx([0.025, 0.0213388, 0.0125], rel=1e-5)


def test_drop_path_grows_by_epochs_or_holds():
    now = StepClock(10, 4).at(25)
    assert Training(drop_path=0.2).drop_path_at(now) == pytest.approx(0.1)
    assert Training(drop_path=0.2).drop_path_at(StepClock(10, 4).at(9)) == 0
    assert Training(drop_path=0.2, drop_path_ramp=False).drop_path_at(StepClock(10, 4).at(0)) == pytest.approx(0.2)


def genotype(cells: int, per_node: int) -> Genotype:
    picks = tuple(f"skip_connect@{number}" for number in range(per_node))
    return Genotype("darts", {f"{cell}/{node}": picks for cell in range(cells) for node in range(2, 6)})


@pytest.mark.parametrize("cells", [8, 14])
@pytest.mark.parametrize("per_node", [1, 2, 3, 7])
def test_denser_networks_drop_more_paths_by_the_released_rule(cells, per_node):
    training = RetrainOptions(drop_path=0.3, drop_path_per_operation=0.15 / 112)
    released = 0.30 + (0.15 / 112) * (4 * per_node * cells - 8 * cells)
    assert training.for_network(genotype(cells, per_node)).drop_path == pytest.approx(released)


def test_drop_path_stays_a_probability_and_is_left_alone_without_the_rule():
    dense = genotype(20, 30)
    assert RetrainOptions(drop_path=0.3, drop_path_per_operation=0.01).for_network(dense).drop_path == 0.95
    assert RetrainOptions(drop_path=0.1, drop_path_per_operation=0.1).for_network(genotype(2, 1)).drop_path == 0
    for drop_path in (0.2, 0.97):
        assert RetrainOptions(drop_path=drop_path).for_network(dense) == RetrainOptions(drop_path=drop_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nesterov": True, "optimizer": "adam"}, "momentum of sgd, but the optimizer is adam"),
        ({"nesterov": True, "momentum": 0.0}, "with momentum 0"),
        ({"color_jitter": [0.4, 0.4, 0.4, 0.6]}, "at most 0.5, but it is 0.6"),
        ({"color_jitter": [0.4]}, "takes 4 values"),
        ({"lr_decay": 1.1}, "at most 1"),
        ({"ema": 1.0}, "below 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(InputError, match=f"retrain: .*{words}"):
        build(RetrainOptions, options, "retrain")


@pytest.mark.parametrize("name", ["ema", "dropout", "drop_path", "auxiliary", "label_smoothing"])
def test_a_search_refuses_what_only_stand_alone_networks_have(name):
    build(SearchOptions, {name: 0.0}, "search")
    with pytest.raises(InputError, match=rf"must be 0, but it is 0\.1.*retrain\.{name}=0\.1"):
        build(SearchOptions, {name: 0.1}, "search")


def test_a_search_checks_what_every_training_does():
    with pytest.raises(InputError, match="nesterov"):
        build(SearchOptions, {"nesterov": True, "optimizer": "adam"}, "search")


@pytest.mark.parametrize("recipe", [DARTS_CIFAR, DARTS_IMAGENET, PC_DARTS_IMAGENET, EFFICIENTNET])
def test_published_recipes_are_valid_options(recipe):
    build(RetrainOptions, recipe, "retrain")


def test_recipes_do_not_import_torch():
    code = "import sys, nasplug.values.recipe, nasplug.values.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_option_is_documented_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "training.md").read_text(encoding="utf-8")
    for name, field in option_fields(RetrainOptions).items():
        values = field.default if isinstance(field.default, tuple) else (field.default,)
        words = ", ".join("unset" if value is None else str(value) for value in values) or "none"
        assert f"\n| `{name}` | {words.lower()} | " in page


@pytest.mark.parametrize("schedule", ["cosine", "linear", "step", "constant"])
@pytest.mark.parametrize("epochs", [5, 40])
def test_over_another_number_of_epochs_the_rate_is_the_same_curve(schedule, epochs):
    """With 20 epochs and 400 steps, or 5 epochs and 100 steps, the rate at a share of the steps is the same."""
    training = RetrainOptions(epochs=20, lr=0.1, lr_schedule=schedule, lr_warmup=4.0, lr_decay=0.5, lr_decay_epochs=2.0)
    other = training.with_epochs(epochs)
    assert (other.epochs, other.lr_warmup, other.lr_decay_epochs) == (epochs, epochs / 5, epochs / 10)
    whole = StepClock(20 * epochs, 20)  # as many steps in all
    clock = StepClock(400, epochs)
    for step in range(0, 400 * epochs, 400):  # the beginnings of the shorter training's epochs
        if schedule in ("cosine", "linear") and epochs > 20 and step % 800:
            continue  # within an epoch of `training`, whose rate is constant there
        assert other.rate(clock.at(step)) == pytest.approx(training.rate(whole.at(step)), rel=2e-3)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize(("epochs", "warm_up"), [(1, 0.0), (2, 0.5), (3, 1.0)])
def test_by_steps_the_rate_falls_to_its_end_within_few_epochs(schedule, epochs, warm_up):
    """By epochs, the last of so few would have the whole rate, or half of it."""
    training = Training(lr=1.0, lr_min=0.1, lr_schedule=schedule, lr_interval="step", lr_warmup=warm_up, epochs=epochs)
    clock = StepClock(100, epochs)
    rates = [training.rate(clock.at(step)) for step in range(round(100 * warm_up), 100 * epochs)]
    count = len(rates)
    curve = {"linear": lambda over: 1 - over, "cosine": lambda over: (1 + math.cos(math.pi * over)) / 2}[schedule]
    assert rates == pytest.approx([0.1 + 0.9 * curve(step / count) for step in range(count)])


def test_by_steps_the_linear_tail_is_a_line_through_the_rates_by_epochs():
    by_epochs, by_steps = (
        Training(lr=1.0, lr_schedule="linear-tail", lr_interval=interval, epochs=20) for interval in ("epoch", "step")
    )
    clock = StepClock(2, 20)
    assert all(by_steps.rate(clock.at(step)) == by_epochs.rate(clock.at(step)) for step in range(0, 40, 2))
    assert by_steps.rate(clock.at(39)) == pytest.approx(0.5 / 5 / 15)
    halves = [by_steps.rate(clock.at(step)) for step in range(28)]
    assert [a - b for a, b in itertools.pairwise(halves)] == pytest.approx([0.5 / 15] * 27)


def test_a_shortened_training_lets_its_rate_fall_in_every_step():
    training = RetrainOptions(epochs=20, lr_warmup=1.0)
    assert training.shortened(20) is training
    assert training.shortened(30) == training.with_epochs(30)
    assert training.shortened(2) == attrs.evolve(training.with_epochs(2), lr_interval="step")


def test_as_many_epochs_are_the_same_training():
    training = RetrainOptions(epochs=7, lr_warmup=0.1)
    assert training.with_epochs(7) is training
