"""What several processes cannot do together is refused before they begin."""

from __future__ import annotations

import attrs
import torch

from nasplug.engine.ranks import Ranks
from nasplug.errors import InputError
from nasplug.values.recipe import Recipe
from nasplug.values.torchrun import count_local_ranks, count_ranks

FEWEST = 2
"""Images that a rank needs of each batch, or of each part of it: batch norm of 1x1 maps has no variance of one."""


def check_ranks(ranks: Ranks, recipe: Recipe, device: torch.device) -> Ranks:
    """The ranks with batch norms as the recipe says. Raises InputError if they cannot share the trainings of a run.

    And if torchrun has started others of which the caller knows nothing.
    """
    if not ranks.several:
        if (count := count_ranks()) > 1:
            raise InputError(
                f"torchrun has started {count} processes, and this is for one; what several can do together is "
                f"'nasplug run', 'nasplug resume' and 'nasplug retrain'."
            )
        return ranks
    _refuse_jobs(ranks, recipe)
    _refuse_device(recipe, device)
    _refuse_small_batches(ranks, recipe)
    return attrs.evolve(ranks, sync_norms=recipe.run.sync_norms)


def _refuse_jobs(ranks: Ranks, recipe: Recipe) -> None:
    if recipe.run.jobs > 1:
        raise InputError(
            f"run.jobs={recipe.run.jobs} trains networks beside one another, and torchrun spreads each training over "
            f"its {ranks.share.count} processes instead; set run.jobs=1 (--jobs 1)."
        )


def _refuse_device(recipe: Recipe, device: torch.device) -> None:
    if device.type != "cuda":
        return
    here, devices = count_local_ranks(), torch.cuda.device_count()
    if recipe.run.device not in ("auto", "cuda") or devices < here:
        raise InputError(
            f"Each of the {here} processes that torchrun has started on this machine takes a CUDA device of its own, "
            f"of which there are {devices}, and the device of the run is '{recipe.run.device}'; start as many as there "
            f"are devices, with --device cuda, or compute with --device cpu."
        )


def _refuse_small_batches(ranks: Ranks, recipe: Recipe) -> None:
    for name, training in (("search", recipe.search), ("retrain", recipe.retrain)):
        if training.batch_size // training.accumulate < FEWEST * ranks.share.count:
            parts = "" if training.accumulate == 1 else f", in {training.accumulate} parts,"
            raise InputError(
                f"{name}.batch_size={training.batch_size}{parts} cannot be divided among {ranks.share.count} "
                f"processes, each of which needs at least {FEWEST} images; start fewer (torchrun --nproc-per-node), or "
                f"set a larger {name}.batch_size."
            )
