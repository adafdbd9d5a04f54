"""When the flatness of a supernet is measured, and on which images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress

import attrs
import numpy as np
import numpy.typing as npt
import torch

from nasplug.engine.flatness import alpha_eigenvalue, discretisation, sharpness
from nasplug.parts import Batch, Supernet
from nasplug.runs.context import RunContext
from nasplug.values import StepInfo

Indices = npt.NDArray[np.int64]

CALIBRATION = 256
"""Images on which batch-norm statistics are measured, at most."""
HELD_OUT = 2048
"""Images on which the gap is measured, at most."""
BATCH = 256
"""Images in a batch where nothing is differentiated."""
SMALLEST = 16
"""Least number of images in a batch that is differentiated. Otherwise it has a quarter of a training batch, which
leaves memory for second derivatives; with fewer images, batch-norm statistics are too noisy."""


def flatness(
    context: RunContext, net: Supernet, shares: Mapping[str, Indices]
) -> Callable[[StepInfo], Mapping[str, float]] | None:
    """The function that measures the flatness of a search; None if the run asks for none.

    A supernet that is trained block by block has no loss of its own: no classifier has learnt anything yet.
    """
    if context.recipe.run.measure_every == 0 or context.composition.teacher.blockwise:
        return None
    return Flatness(context, net, shares)


@attrs.frozen(eq=False)
class Flatness:
    """Sharpness, the curvature that alpha sees and the discretisation gap, at the ends of some epochs.

    Loss and curvature are those of labels alone, on images of the share that alpha learns from (of the train split, if
    it is undivided), so that methods can be compared. The gap is measured on validation images, if any. The images are
    sampled once for the whole run and not augmented; the arithmetic is float32 whatever the precision of the run.
    Curvature and gap need an alpha that is learnt.
    """

    context: RunContext
    net: Supernet
    shares: Mapping[str, Indices]
    """The shares of the train split."""

    def __call__(self, now: StepInfo) -> dict[str, float]:
        """The figures for the step that follows `now`; none if it is not time for them."""
        composition, options, choices = self.context.composition, self.context.recipe, self.net.choices
        if now.step + 1 != now.steps and not (now.ends_epoch and (now.epoch + 1) % options.run.measure_every == 0):
            return {}
        updates = composition.optimizer.updates(now)
        weights = next((update.split for update in updates if update.moves_weights), updates[0].split)
        alpha = next((update.split for update in updates if update.moves_alpha), weights)
        batch = max(SMALLEST, options.search.batch_size // 4)
        seen = tuple(self.images(alpha, self.shares[alpha], options.run.measure_images, batch))
        mask = composition.optimizer.sample(composition.space, choices, now)
        with nullcontext() if mask is None else choices.only(mask):
            figures = {"sharpness": sharpness(self.net, seen)}
        if not composition.optimizer.learns_alpha:
            return figures
        with suppress(torch.OutOfMemoryError):  # a search that fits on its device must not end for the lack of a figure
            figures["alpha_eigenvalue"] = alpha_eigenvalue(self.net, seen, self.context.seed("measure", "direction"))
        held_out = self.context.splits.validation
        name, indices = ("validation", held_out) if len(held_out) else (alpha, self.shares[alpha])
        return figures | discretisation(
            self.net,
            composition.space,
            calibration=lambda: self.images(weights, self.shares[weights], CALIBRATION, BATCH),
            held_out=lambda: self.images(name, indices, HELD_OUT, BATCH),
        )

    def images(self, split: str, indices: Indices, count: int, batch: int) -> Iterable[Batch]:
        """At most `count` images of a split in batches of `batch`: the same ones every time."""
        return self.context.sample_batches(indices, count, batch, "measure", split)
