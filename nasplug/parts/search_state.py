"""What a search has come to when its training is over, and the further work that can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts.batch import Batch
from nasplug.parts.cost_model import CostModel
from nasplug.parts.network import Supernet
from nasplug.parts.rating import Rater
from nasplug.parts.space import SearchSpace
from nasplug.values import Budget, Evaluated, Genotype, ImageShape, Progress, Rated, Step
from nasplug.values.seeds import derive_seed

if TYPE_CHECKING:
    from nasplug.parts.optimizer import ArchitectureOptimizer

CALIBRATION = 256
"""Images on which batch-norm statistics are measured before the supernet is evaluated, at most."""


class FurtherWork(Protocol):
    """Who trains and evaluates for a selector, each training and each evaluation once, whatever stops the search."""

    def fine_tune(self, candidates: Tensor, epochs: int, lr_share: float) -> Iterator[Progress]:
        """As `SearchState.fine_tune`."""

    def evaluate(
        self, candidates: Tensor, calibration: Callable[[], Iterator[Batch]], held_out: Callable[[], Iterator[Batch]]
    ) -> Generator[Evaluated, None, Evaluated]:
        """As `SearchState.evaluate`."""

    def train(
        self, genotypes: Sequence[Genotype], epochs: int, split: str, budget: Budget
    ) -> Generator[Progress, None, list[float | None]]:
        """As `SearchState.train`."""


@attrs.frozen(eq=False)
class SearchState:
    """What a search has come to when its training is over: everything that a decision can be made from.

    `fine_tune`, `evaluate` and `train` do further work, for `Selector.select`: it says `yield from` before each, as
    they report their progress in between. Of a search that was stopped the selection begins again, and what was
    finished before is then not repeated but has the result on record. So a selection must be a function of this state
    alone.
    """

    space: SearchSpace
    shape: ImageShape
    net: Supernet | None
    """The trained supernet, of several the last; None if the optimizer trains none."""
    snapshots: Sequence[Step]
    """The steps that carry a snapshot."""
    images: Callable[[str, int], Iterator[Batch]]
    """From a split and a number N to at most N of its images, in a fixed order, in batches, not augmented."""
    seed: int
    budgets: Sequence[Budget] = ()
    """What a network may cost at the size of the retraining; several: networks are wanted within each of them.

    Empty: no limits.
    """
    run_budgets: Sequence[Budget] = ()
    """The budgets of the run, to which networks are scaled before they are trained, where the space has widths."""
    raters: Sequence[Rater] = ()
    """What rates paths through the blocks; one for the whole network, or one for each block."""
    rated: Sequence[Rated] = ()
    """What was rated before the search was interrupted; need not be rated again."""
    cost_model: CostModel = attrs.field(
        default=attrs.Factory(lambda self: CostModel(self.space, self.shape), takes_self=True)
    )
    """What networks cost at the size at which they are retrained, to which the budgets apply."""
    optimizer: ArchitectureOptimizer | None = None
    """The optimizer of the search, as the search has left it."""
    weights_split: str = "train"
    """The split on which the weights were trained."""
    work: FurtherWork | None = None
    """Who does further work; None before the training, when no work can be done yet."""

    def random(self, *words: object) -> Random:
        """A generator for the purpose that `words` name, a function of the seed of the run."""
        return Random(derive_seed(self.seed, *words))

    def fine_tune(self, candidates: Tensor, epochs: int, lr_share: float = 0.1) -> Iterator[Progress]:
        """Trains the supernet on, for `epochs` epochs in each stage, with no candidates but `candidates`.

        The optimizer of the search updates weights and alpha as before (after its warm-up, if it has one), on the same
        splits and with the losses of the teacher; nothing is deleted. The learning rate of the weights follows the
        schedule of the search over these epochs, times `lr_share`. `candidates` are bool (choices, candidates), on any
        device.

        Raises InputError if they are no candidates of this supernet, or if there is none.
        """
        self._check_candidates(candidates)
        return self._work.fine_tune(candidates.cpu(), epochs, lr_share)

    def evaluate(self, candidates: Tensor, split: str, count: int) -> Generator[Evaluated, None, Evaluated]:
        """What the supernet answers with no candidates but `candidates`, on at most `count` images of `split`.

        They are weighed as in the search, as a rule by alpha.
        Batch norms use statistics that are measured with the same candidates on images of `weights_split`. The supernet
        is left as it was. `candidates` are bool (choices, candidates), on any device; with those of one genotype
        (`SearchSpace.encode`) it is evaluated as a network of the supernet's weights.

        Raises InputError if they are no candidates of this supernet, or if there is none.
        """
        self._check_candidates(candidates)
        return self._work.evaluate(
            candidates.cpu(),
            lambda: self.images(self.weights_split, CALIBRATION),
            lambda: self.images(split, count),
        )

    def train(
        self,
        genotypes: Sequence[Genotype],
        epochs: int,
        split: str,
        budget: Budget = MappingProxyType({}),
    ) -> Generator[Progress, None, list[float | None]]:
        """The error of the network of each genotype on all images of `split`, after `epochs` of training.

        Which error, `select.by` says; that of a training that diverges is the `worst_error` of the task.

        Each is trained from scratch by the options of the retraining, on the training images that are not in `split`,
        as large as `budget` allows where networks are scaled, else at the size of the retraining; `run.jobs` of them in
        parallel. None instead of the error of one that does not keep the budget, which is not trained.
        Raises InputError if a genotype does not belong to the space.
        """
        for genotype in genotypes:
            self.space.check(genotype)
        return self._work.train(genotypes, epochs, split, budget)

    @property
    def _work(self) -> FurtherWork:
        if self.work is None:
            raise RuntimeError("nothing can be trained or evaluated before the search itself is trained")
        return self.work

    def _check_candidates(self, candidates: Tensor) -> None:
        if self.net is None:
            raise InputError("There is no supernet to go on with: the optimizer of this search trains none.")
        choices = self.net.choices
        if candidates.shape != choices.valid_mask.shape or candidates.dtype != torch.bool:
            raise InputError(
                f"Candidates of this supernet are a bool tensor {tuple(choices.valid_mask.shape)}, but got "
                f"{str(candidates.dtype).removeprefix('torch.')} {tuple(candidates.shape)}."
            )
