"""Training on in 8 bits: it goes on where it was stopped, and leaves the weights of the run as they are."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nasplug.errors import InputError, Interrupted
from nasplug.plugins import load_plugins
from nasplug.results.export import export
from nasplug.results.result import TrainedNetwork, load
from nasplug.runs.quantisation_aware import RATE, QuantisedTraining, quantised_options
from nasplug.runs.signals import Signals
from nasplug.store.result import read_result
from nasplug.values.recipe import RetrainOptions

pytestmark = pytest.mark.slow


class StopAfter(Signals):
    """Receives SIGTERM after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.received = signal.SIGTERM
        return super().__call__()


@pytest.fixture
def network(finished_run: Path, tmp_path: Path) -> TrainedNetwork:
    return load(shutil.copytree(finished_run, tmp_path / "run")).best()


def training_of(network: TrainedNetwork, epochs: int) -> QuantisedTraining:
    classifier = network.classifier()
    shape = (classifier.channels, classifier.size, classifier.size)
    return QuantisedTraining(network.run, network.id, classifier.net, shape, epochs)


def carry_out(training: QuantisedTraining, signals: Signals | None = None) -> int:
    """The number of steps that were seen."""
    return len(list(training.train(load_plugins(), signals or Signals(), "nasplug export again")))


def state_of(training: QuantisedTraining) -> dict[str, Tensor]:
    return dict(training.trained().state_dict())


@pytest.mark.full
def test_a_training_that_was_stopped_ends_with_the_same_weights(network: TrainedNetwork, tmp_path: Path) -> None:
    before = network.weights.read_bytes()
    whole = training_of(network, 1)
    carry_out(whole)
    expected = state_of(whole)
    assert carry_out(whole) == 0  # it is done
    shutil.rmtree(network.run.path / "phases" / "qat")

    again = training_of(network, 1)
    for steps in (1, 2):
        with pytest.raises(Interrupted, match="nasplug export again"):
            carry_out(again, StopAfter(steps))
        with pytest.raises(InputError, match="network"):
            again.trained()  # there is no file yet
    carry_out(again)

    assert expected.keys() == state_of(again).keys()
    assert all(torch.equal(value, expected[name]) for name, value in state_of(again).items())
    assert network.weights.read_bytes() == before
    assert read_result(network.run.path).status == "done"


def test_it_follows_the_network_in_32_bits_at_a_low_rate_without_what_changes_the_weights_otherwise() -> None:
    retraining = RetrainOptions(
        epochs=20, lr=0.4, lr_warmup=2.0, nesterov=True, distil=0.5, ema=0.9, drop_path=0.2, auxiliary=0.4, cutout=2
    )
    options = quantised_options(retraining, 5)
    assert (options.optimizer, options.lr, options.lr_warmup, options.weight_decay) == ("adam", RATE, 0, 0)
    assert (options.epochs, options.distil, options.ema, options.drop_path, options.auxiliary) == (5, 1, 0, 0, 0)
    assert (options.augment, options.cutout) == (retraining.augment, 2)


@pytest.mark.timeout(300)
def test_its_answers_come_nearer_to_those_in_32_bits(network: TrainedNetwork) -> None:
    training = training_of(network, 12)
    carry_out(training)
    journal = network.run.phase(training.phase) / "events.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    quarter = len(losses) // 4
    assert sum(losses[-quarter:]) < 0.9 * sum(losses[:quarter]), losses


def test_an_export_in_8_bits_has_the_weights_of_this_training(network: TrainedNetwork, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    plain = export(network, "onnx", tmp_path / "plain.onnx", int8=True, calibration=32)
    trained = export(network, "onnx", tmp_path / "trained.onnx", int8=True, calibration=32, qat=1)

    assert plain.path.read_bytes() != trained.path.read_bytes()
    assert network.run.done(f"qat/{network.id}/1") is not None
    kept = {each.qat: each for each in read_result(network.run.path).exports}
    assert kept.keys() == {0, 1}
    assert kept[1] == trained.figures
    assert kept[0].float_error == kept[1].float_error  # that of the network of the run


def test_it_is_for_files_in_8_bits(network: TrainedNetwork) -> None:
    with pytest.raises(InputError, match="add --int8, or leave --qat out"):
        export(network, "onnx", qat=2)


def test_weights_of_another_network_are_refused(network: TrainedNetwork) -> None:
    training = training_of(network, 1)
    carry_out(training)
    other = next(each for each in load(network.run.path).networks if each.id != network.id)
    foreign = training_of(other, 1)
    foreign.weights.parent.mkdir(parents=True)
    shutil.copy(training.weights, foreign.weights)
    with pytest.raises(InputError, match=f"not of the network {other.id}"):
        foreign.trained()
