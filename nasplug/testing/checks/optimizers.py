"""Architecture optimizers: how they weigh and draw candidates, and what they settle on."""

from __future__ import annotations

import torch

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, read_state
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import begin, whole
from nasplug.values import Found, Rated, StepClock


@check("optimizer", first=True)
def declares_its_splits(case: Case) -> None:
    """Every turn uses a split that `splits` declares, and their shares add up to at most 1.

    Alpha that learns on the images of the weights, because a name is misspelt, overfits without a warning.
    """
    optimizer = _fresh(case)
    shares = optimizer.splits()
    total = sum(shares.values())
    require(
        all(share > 0 for share in shares.values()) and total <= 1 + 1e-9,
        f"the shares are {dict(shares)}",
        "give each split a share above 0, of 1 in all",
    )
    for now in StepClock(4, 3).since(0):
        for turn in optimizer.updates(now):
            require(
                turn.split in shares,
                f"step {now.step} has a turn on '{turn.split}', but the splits are {', '.join(shares)}",
                "declare it in splits()",
            )


@check("optimizer")
def weighs_only_what_counts(case: Case) -> None:
    """`relax` gives weights of 0 or more, 0 for what does not count, and finite ones down to the last candidate.

    A softmax over an empty row is NaN, and a deleted candidate with a weight comes back into the network.
    """
    optimizer = _fresh(case)
    generator = torch.Generator().manual_seed(0)
    active = torch.rand(6, 5, generator=generator) < 0.6
    active[0], active[1], active[2] = True, False, False
    active[2, 3] = True
    for scale in (0.0, 1.0, 30.0):
        alpha = (scale * torch.randn(6, 5, generator=generator)).requires_grad_()
        weights = optimizer.relax(alpha, active)
        what = f"for alpha of about {scale:g} a weight"
        require(
            bool(weights.isfinite().all()), f"{what} is not finite", "guard quotients and softmax against empty rows"
        )
        require(bool((weights >= 0).all()), f"{what} is negative", "give weights of 0 or more")
        require(
            bool((weights[~active] == 0).all()), f"{what} of what does not count is not 0", "mask what is not active"
        )
        require(
            bool(weights[2, 3] > 0), f"{what} of the only candidate is 0", "give the last candidate the whole weight"
        )
        if weights.requires_grad:
            (gradient,) = torch.autograd.grad(weights.square().sum(), alpha)
            require(
                bool(gradient.isfinite().all()), "alpha gets a gradient that is not finite", "guard against empty rows"
            )


@check("optimizer")
def samples_only_what_is_kept(case: Case) -> None:
    """`sample` gives a mask of candidates that are kept, the same for the same state and moment, and changes no state.

    A path through a deleted candidate computes nothing; one drawn from a hidden generator is lost on resume.
    """
    trial = begin(case.once(plan).parts(), seed=0)
    if trial.trainer is None:
        raise NotApplicable("nothing is trained")
    optimizer, choices, space = trial.parts.optimizer, trial.net.choices, trial.parts.space
    looked = False
    for deleting in (False, True):
        if deleting:
            doomed = torch.zeros_like(choices.kept)
            doomed[:, 1:3] = True
            choices.delete(doomed)
        for now in trial.trainer.clock.since(0):
            before = repr(read_state(optimizer))
            masks = [optimizer.sample(space, choices, now) for _ in range(2)]
            if masks[0] is None or masks[1] is None:
                continue
            looked = True
            mask, again = masks[0], masks[1]
            require(
                mask.dtype == torch.bool and mask.shape == choices.kept.shape and mask.device.type == "cpu",
                f"the mask is {mask.dtype} {tuple(mask.shape)}",
                "give a bool tensor (choices, candidates) on the CPU",
            )
            require(
                not bool((mask & ~choices.kept).any()),
                "deleted candidates are drawn",
                "draw among choices.active_columns",
            )
            require(
                all(bool(mask[row].any()) for row, choice in enumerate(choices) if choice.parent is None),
                "a choice is left without a candidate",
                "draw one of those that are left",
            )
            require(
                torch.equal(mask, again), "two draws at one moment differ", "derive the draw from the state and `now`"
            )
            require(
                repr(read_state(optimizer)) == before,
                "drawing changes its state",
                "change state in no method but initialise",
            )
    if not looked:
        raise NotApplicable("it does not sample")


@check("optimizer")
def decides_as_it_declares(case: Case) -> None:
    """`decide` gives architectures of the space if, and only if, the optimizer says `decides`.

    A run whose optimizer settles on nothing, or on what the space refuses, fails after its search.
    """
    trial = case.once(whole)
    found, declared = [each for each in trial.decided if isinstance(each, Found)], trial.parts.optimizer.decides
    require(
        bool(found) == declared,
        f"decides is {declared}, and it settles on {len(found)} architectures",
        "declare decides as it is",
    )
    for each in found:
        try:
            trial.parts.space.check(each.genotype)
        except InputError as error:
            raise Failed(
                f"it settles on an architecture that the space refuses: {error}", "decode with the space"
            ) from error


@check("optimizer")
def finishes_a_rating_that_was_interrupted(case: Case) -> None:
    """A decision that goes on with half of its ratings on record rates the rest, and ends the same.

    Rating all paths takes hours; what was rated before an interruption must neither be lost nor rated anew.
    """
    trial = case.once(whole)
    rated = [each for each in trial.decided if isinstance(each, Rated)]
    if not rated:
        raise NotApplicable("it rates nothing")
    half = len(rated) // 2
    again = trial.decide(rated[:half])
    remedy = "skip what searched.rated holds, and decide from old and new ratings alike"
    require(
        [each for each in again if isinstance(each, Rated)] == rated[half:],
        "other paths are rated after a stop",
        remedy,
    )
    require(
        [each for each in again if isinstance(each, Found)]
        == [each for each in trial.decided if isinstance(each, Found)],
        "it settles on other architectures after a stop",
        remedy,
    )


def _fresh(case: Case) -> ArchitectureOptimizer:
    return case.once(plan).parts().optimizer
