"""Further work with a trained supernet, for a selector: each training and each evaluation is done once.

Pieces of work are numbered in the order in which they are asked for. A selection that begins again, after a stop, asks
for the same pieces in the same order, and gets what is on record of those that were finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import attrs
from torch import Tensor

from nasplug.engine.flatness import evaluate, untouched
from nasplug.engine.plain.keep import Keep
from nasplug.engine.trainer import Stream, Trainer
from nasplug.errors import RunFailure
from nasplug.parts import Batch, Supernet
from nasplug.values import Budget, Evaluated, Genotype, Progress, Training

FINE_TUNING, TRIAL = "fine-tuning", "trial"
"""How the phases begin that train the supernet further, and that train a network."""


def make_further_trainer(
    trainer: Trainer, phase: str, training: Training, streams: Mapping[str, Stream], candidates: Tensor
) -> Trainer:
    """A trainer that trains the supernet of a search on, with `candidates` alone, bool (choices, candidates)."""
    return attrs.evolve(
        trainer,
        name=phase,
        schedule=Keep(),
        training=training,
        streams=streams,
        measure=None,
        candidates=candidates,
        succession=None,
        stage=0,
        step=0,
    )


@attrs.define(eq=False)
class RecordedWork:
    """Work that begins with a supernet as its search has left it, or with none."""

    trainer: Trainer | None
    """The trainer of the search; None if it has trained none."""
    make_streams: Callable[[str, Training], Mapping[str, Stream]]
    """From a phase and its training to the batches of every split."""
    carry_out: Callable[[Trainer], Iterator[Progress]]
    """Trains to the end, from where the same phase was stopped if it was."""
    train_networks: Callable[[Mapping[str, Genotype], int, str, Budget], Generator[Progress, None, list[float | None]]]
    """From genotypes by phase, epochs, the split that is held out and a budget to the errors of the trained networks.

    None for a network that does not keep the budget.
    """
    on_record: Sequence[Evaluated] = ()
    """The evaluations that were made before the search was stopped."""
    trainings: int = attrs.field(default=0, init=False)
    evaluations: int = attrs.field(default=0, init=False)

    def fine_tune(self, candidates: Tensor, epochs: int, lr_share: float) -> Iterator[Progress]:
        """Trains the supernet on, with new torch optimizers."""
        trainer, _ = self._of_search()
        phase = self._next_phase(FINE_TUNING)
        training = trainer.training.with_epochs(epochs)
        training = attrs.evolve(training, lr=lr_share * training.lr, lr_min=lr_share * training.lr_min)
        streams = self.make_streams(phase, training)
        yield from self.carry_out(make_further_trainer(trainer, phase, training, streams, candidates))

    def evaluate(
        self, candidates: Tensor, calibration: Callable[[], Iterator[Batch]], held_out: Callable[[], Iterator[Batch]]
    ) -> Generator[Evaluated, None, Evaluated]:
        """Evaluates the supernet in its present state."""
        _, net = self._of_search()
        digest = hashlib.sha256(candidates.numpy().tobytes()).hexdigest()[:12]
        self.evaluations += 1
        if self.evaluations <= len(self.on_record):
            known = self.on_record[self.evaluations - 1]
            if (known.trainings, known.candidates) != (self.trainings, digest):
                raise RunFailure(
                    f"The selector does not go on as it began: its evaluation number {self.evaluations} is of other "
                    f"candidates, or after another training, than before the stop. It must depend on the search state "
                    f"alone; tell its author."
                )
            return known
        batches = list(held_out())
        with untouched(net), net.choices.only(candidates):
            loss, error = evaluate(net, calibration, lambda: batches)
        images = sum(len(batch.labels) for batch in batches)
        evaluated = Evaluated(self.trainings, digest, images, loss, error)
        yield evaluated
        return evaluated

    def train(
        self, genotypes: Sequence[Genotype], epochs: int, split: str, budget: Budget
    ) -> Generator[Progress, None, list[float | None]]:
        """Trains networks on their own, each in a phase."""
        trials = {self._next_phase(TRIAL): genotype for genotype in genotypes}
        errors = yield from self.train_networks(trials, epochs, split, budget)
        return errors

    def _of_search(self) -> tuple[Trainer, Supernet]:
        if self.trainer is None or not isinstance(self.trainer.net, Supernet):
            raise RuntimeError("this search has trained no supernet")
        return self.trainer, self.trainer.net

    def _next_phase(self, kind: str) -> str:
        self.trainings += 1
        return f"{kind}/{self.trainings}"
