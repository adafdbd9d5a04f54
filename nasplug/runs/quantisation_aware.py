"""The phases `qat/ID/EPOCHS`: trained networks that are trained on as they will compute in 8 bits."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import attrs
import torch
from torch import nn

from nasplug.deployment.fake_quantisation import FakeQuantised
from nasplug.deployment.graph import deployed_graph
from nasplug.engine.assembly import place_network
from nasplug.errors import InputError, quote, reason
from nasplug.parts import Network
from nasplug.plugins import Plugins
from nasplug.runs.context import reopen_context
from nasplug.runs.retrain import make_plain_trainer, train_network
from nasplug.runs.signals import Signals
from nasplug.runs.training import Stopped
from nasplug.runs.workers import phase_journal
from nasplug.store.events import ignore_event
from nasplug.store.files import read_tensors
from nasplug.store.lock import lock_run
from nasplug.store.networks import save_with_facts
from nasplug.store.run_folder import RunFolder
from nasplug.values import Progress
from nasplug.values.recipe import RetrainOptions

RATE = 1e-4
"""The learning rate of Adam: a tenth of its usual one, since the weights are good already.

Folded batch norms leave weights of very different sizes in the channels of a layer, so that one step of SGD is too long
for some of them.
"""


@attrs.frozen
class QuantisedTraining:
    """The training of one network of a run for some more epochs, with maps and weights rounded."""

    folder: RunFolder
    name: str
    """The id of the network."""
    net: Network
    """The network as it was retrained, in evaluation mode on the CPU."""
    shape: tuple[int, int, int]
    """(C, H, W) of its images."""
    epochs: int

    @property
    def phase(self) -> str:
        """The phase of this training."""
        return f"qat/{self.name}/{self.epochs}"

    @property
    def weights(self) -> Path:
        """What it leaves."""
        return self.folder.phase(self.phase) / "network.safetensors"

    def train(self, plugins: Plugins, signals: Signals, resume_hint: str) -> Iterator[Progress]:
        """Trains, if that is not done yet, from where the training was stopped.

        Raises Interrupted, which names `resume_hint`, after a signal; InputError if the images of the run are not at
        hand or another process works in its folder; RunFailure if the network breaks.
        """
        if self.folder.done(self.phase) is not None:
            return
        context = reopen_context(self.folder, plugins)
        with lock_run(self.folder), signals.hurrying():
            torch.set_num_threads(context.recipe.run.threads)
            training = quantised_options(context.recipe.retrain, self.epochs)
            teacher = place_network(copy.deepcopy(self.net), context.device)
            trainer = make_plain_trainer(context, self.phase, self._rounded(), training, context.splits, teacher)
            journal = phase_journal(context, self.phase, ignore_event)
            try:
                yield from train_network(context, trainer, None, context.splits, self._save, journal, signals)
            except (Stopped, KeyboardInterrupt):
                if not signals():  # raised by the program, not by a signal
                    raise
                raise signals.interrupted(resume_hint) from None

    def trained(self) -> nn.Module:
        """The network after it, without rounding, on the CPU. InputError if its file is damaged."""
        tensors, _ = read_tensors(self.weights, "network")
        net = self._rounded()
        try:
            net.load_state_dict(tensors)
        except RuntimeError as error:
            raise InputError(
                f"{quote(self.weights)} is not of the network {self.name} ({reason(error)}); remove the folder that it "
                f"lies in to train it again."
            ) from error
        return net.graph.requires_grad_(False)

    def _rounded(self) -> FakeQuantised:
        return FakeQuantised(deployed_graph(self.net, self.shape))

    def _save(self, net: Network, _: int) -> None:
        save_with_facts(self.weights, net, {"schema": 1, "network": self.name, "epochs": self.epochs})


def quantised_options(retraining: RetrainOptions, epochs: int) -> RetrainOptions:
    """A training by the answers of the network in 32 bits at a low rate, without what changes or averages the weights.

    Learning from the labels would go on with the training of the run, at a rate that undoes its last epochs.
    """
    return attrs.evolve(
        retraining.with_epochs(epochs),
        optimizer="adam",
        nesterov=False,
        betas=(0.9, 0.999),
        lr=RATE,
        lr_min=0.0,
        lr_warmup=0.0,
        weight_decay=0.0,
        distil=1.0,
        ema=0.0,
        auxiliary=0.0,
        drop_path=0.0,
        drop_path_per_operation=0.0,
    )
