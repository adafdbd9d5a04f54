"""Checks of architecture optimizers: weights of candidates, samples of candidates, and decisions."""

from __future__ import annotations

import torch

from nasplug.parts import ArchitectureOptimizer, read_state
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import begin, require_of_space, whole
from nasplug.values import Found, StepClock


@check("optimizer", first=True)
def declares_its_splits(case: Case) -> None:
    """Every update uses a split that `splits` declares, and the shares of the splits add up to at most 1.

    If a misspelt name made alpha learn on the images of the weights, it would overfit without a warning.
    """
    optimizer = _new_optimizer(case)
    shares = optimizer.splits()
    total = sum(shares.values())
    require(
        all(share > 0 for share in shares.values()) and total <= 1 + 1e-9,
        f"the shares are {dict(shares)}",
        "give each split a share above 0, and at most 1 in total",
    )
    for now in StepClock(4, 3).since(0):
        updates = optimizer.updates(now)
        require(
            not optimizer.trains
            or (len(updates) > 0 and (now.step > 0 or any(update.moves_weights for update in updates))),
            f"step {now.step} has {'no update of the weights' if updates else 'no update'}",
            "give at least one update in every step, and one of the weights in step 0",
        )
        for update in updates:
            require(
                update.split in shares,
                f"step {now.step} has an update on '{update.split}', but the splits are {', '.join(shares)}",
                "declare it in splits()",
            )


@check("optimizer")
def weighs_only_what_counts(case: Case) -> None:
    """`relax` gives finite weights of 0 or more, and 0 for candidates that are not active.

    A softmax over an empty row is NaN, and a deleted candidate with a positive weight takes part in the network again.
    """
    optimizer = _new_optimizer(case)
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
            bool((weights[~active] == 0).all()), f"{what} of an inactive candidate is not 0", "mask what is not active"
        )
        require(
            bool(weights[2, 3] > 0),
            f"{what} of the only candidate is 0",
            "give a single candidate all the weight",
        )
        if weights.requires_grad:
            (gradient,) = torch.autograd.grad(weights.square().sum(), alpha)
            require(
                bool(gradient.isfinite().all()), "alpha gets a gradient that is not finite", "guard against empty rows"
            )


@check("optimizer")
def samples_only_what_is_kept(case: Case) -> None:
    """`sample` masks only candidates that are kept, is a function of state and step, and changes nothing.

    A path through a deleted candidate computes nothing; a sample from a hidden generator is different on resume.
    """
    search = begin(case.once(plan).parts(), seed=0)
    if search.trainer is None:
        raise NotApplicable("nothing is trained")
    optimizer, choices, space = search.parts.optimizer, search.net.choices, search.parts.space
    samples = False
    for deleting in (False, True):
        if deleting:
            doomed = torch.zeros_like(choices.kept)
            doomed[:, 1:3] = True
            choices.delete(doomed)
        for now in search.trainer.clock.since(0):
            before = repr(read_state(optimizer)), choices.alpha.detach().clone(), choices.kept.clone()
            masks = [optimizer.sample(space, choices, now) for _ in range(2)]
            if masks[0] is None or masks[1] is None:
                continue
            samples = True
            mask, again = masks[0], masks[1]
            require(
                mask.dtype == torch.bool and mask.shape == choices.kept.shape and mask.device.type == "cpu",
                f"the mask is {mask.dtype} {tuple(mask.shape)}",
                "give a bool tensor (choices, candidates) on the CPU",
            )
            require(
                not bool((mask & ~choices.kept).any()),
                "deleted candidates are sampled",
                "sample among choices.active_columns",
            )
            require(
                all(bool(mask[row].any()) for row, choice in enumerate(choices) if choice.parent is None),
                "a choice is left without a candidate",
                "sample one of those that are left",
            )
            require(
                torch.equal(mask, again),
                "two samples of the same step differ",
                "derive it from the state and `now`",
            )
            require(
                repr(read_state(optimizer)) == before[0],
                "sampling changes its state",
                "change state only in initialise",
            )
            require(
                torch.equal(choices.alpha, before[1]) and torch.equal(choices.kept, before[2]),
                "sampling changes alpha, or which candidates are kept",
                "give a new mask, and leave the choices",
            )
    if not samples:
        raise NotApplicable("it does not sample")


@check("optimizer")
def decides_as_it_declares(case: Case) -> None:
    """`decide` returns architectures of the space if, and only if, the optimizer declares `decides = True`.

    A run whose optimizer returns nothing, or what the space refuses, fails after its search.
    """
    search = case.once(whole)
    decided = search.parts.optimizer.decide(search.search_state())
    found = [event for event in decided if isinstance(event, Found)]
    declared = search.parts.optimizer.decides
    require(
        bool(found) == declared,
        f"decides is {declared}, but it returns {len(found)} architectures",
        f"set decides = {not declared}",
    )
    require_of_space(search.parts.space, found)


def _new_optimizer(case: Case) -> ArchitectureOptimizer:
    return case.once(plan).parts().optimizer
