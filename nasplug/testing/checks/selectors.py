"""Checks of selectors: what they find, what they look at, and that they can be asked again."""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs
import torch

from nasplug.parts import Batch, Selector, read_state
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, require_of_space, whole
from nasplug.values import Found


@check("selector", first=True)
def shares_out_images_for_itself(case: Case) -> None:
    """Each share of `splits` is above 0, has a name that begins with "train.", and together they leave most images.

    A share under a name of the optimizer's would be trained on, and the selection would choose what has learnt it by
    heart.
    """
    parts = case.once(plan).parts()
    shares = parts.selector.splits()
    require(
        all(share > 0 for share in shares.values()) and sum(shares.values()) <= 0.5,
        f"the shares are {dict(shares)}",
        "give each split a share above 0, and take at most half of the images by default",
    )
    for name in shares:
        require(
            name.startswith("train.") and name not in parts.optimizer.splits(),
            f"a share is called '{name}'",
            "call it 'train.' and a word of your own",
        )


@check("selector")
def is_without_state(case: Case) -> None:
    """It has no attrs fields with init=False, and its options are the same after a selection.

    No checkpoint saves the state of a selector: what was rated, evaluated and trained is on record instead.
    """
    names = ", ".join(read_state(_new_selector(case)))
    require(not names, f"it has the state {names}", "compute it in select, from the search state")
    search = _trained(case)
    before = repr(search.parts.selector)
    search.decide()
    require(
        repr(search.parts.selector) == before,
        f"after a selection it is {search.parts.selector!r:.80} instead of {before:.80}",
        "keep what select computes in local variables",
    )


@check("selector")
def finds_architectures_last(case: Case) -> None:
    """`select` finds architectures of the space, and nothing else comes after the first of them.

    A run whose selector finds nothing, or what the space refuses, breaks after the search; and one that was stopped
    asks again for what was found, so that this has to stand at the end of the record.
    """
    search = case.once(whole)
    found = [event for event in search.decided if isinstance(event, Found)]
    snapshots = search.parts.selector.decodes and any(step.snapshot is not None for step in search.steps)
    require(bool(found) or snapshots, "it finds nothing", "yield a Found for each architecture")
    require_of_space(search.parts.space, found)
    tail = search.decided[len(search.decided) - len(found) :]
    require(
        all(isinstance(event, Found) for event in tail),
        "it goes on rating or evaluating after the first architecture that it finds",
        "yield what it finds at the end",
    )


@check("selector")
def scores_what_it_finds(case: Case) -> None:
    """Every architecture has the measure that `score` names, a finite number; one that ranks them names a score.

    The best are retrained by this number, and tables show it.
    """
    selector = _new_selector(case)
    require(
        bool(selector.score) or not selector.best_first,
        "it declares best_first = True and no score",
        "name the measure of its Found in score",
    )
    if not selector.score:
        raise NotApplicable("it gives no score")
    for event in case.once(whole).decided:
        if isinstance(event, Found):
            value = event.measures.get(selector.score)
            require(
                isinstance(value, int | float) and math.isfinite(value),
                f"an architecture has the score {selector.score}={value!r:.60}",
                f"yield Found(..., measures={{{selector.score!r}: number}})",
            )


@check("selector")
def finishes_a_rating_that_was_interrupted(case: Case) -> None:
    """A selection that begins again, with half of its ratings and evaluations on record, makes the rest and ends alike.

    Rating all paths takes hours; what was rated before an interruption must neither be lost nor rated again.
    """
    search = case.once(whole)
    recorded = [event for event in search.decided if not isinstance(event, Found)]
    if not recorded:
        raise NotApplicable("it rates and evaluates nothing")
    half = len(recorded) // 2
    again = _trained(case).decide(recorded[:half])
    require(
        again == search.decided[half:],
        "after a stop it rates, evaluates or finds something else",
        "skip what search_state.rated holds, let nothing depend on how often select was called, and decide by old and "
        "new ratings alike",
    )


@check("selector")
def leaves_the_supernet_as_it_was(case: Case) -> None:
    """After a selection the supernet keeps the same candidates, in the same mode; without a training, the same weights.

    Whoever needs the supernet afterwards would get another one, and a selection that begins again would, too.
    """
    search = _trained(case)
    if search.trainer is None:
        raise NotApplicable("there is no supernet")
    net, before = search.net, {name: value.clone() for name, value in search.net.state_dict().items()}
    mode, state = net.training, search.search_state()
    list(search.parts.selector.select(state))
    trained = getattr(state.work, "trainings", 0) > 0
    fixed = ["choices.kept"] if trained else list(before)
    changed = [name for name in fixed if not torch.equal(before[name], net.state_dict()[name])]
    remedy = "compute on the supernet within search_state.evaluate, and train it with search_state.fine_tune"
    require(not changed, f"it changes '{(changed or [''])[0]}' of the supernet", remedy)
    require(net.training == mode, f"it leaves the supernet with training={net.training}", remedy)
    require(net.choices.mask is None, "it leaves a mask of candidates in force", "leave the block of Choices.only")


@check("selector")
def looks_at_images_of_its_own(case: Case) -> None:
    """It asks for images of its own splits, or of the split of the weights, and of no others.

    Images on which alpha has learnt say little about how good an architecture is, and another optimizer has no split of
    that name.
    """
    search, asked = _trained(case), set[str]()
    state = search.search_state()

    def images(split: str, count: int) -> Iterator[Batch]:
        asked.add(split)
        if split not in known:
            raise Failed(f"it asks for images of '{split}'", "declare a share of its own in splits()")
        return state.images(split, count)

    known = {state.weights_split, *search.parts.selector.splits()}
    list(search.parts.selector.select(attrs.evolve(state, images=images)))
    if not asked:
        raise NotApplicable("it looks at no images")


def _new_selector(case: Case) -> Selector:
    return case.once(plan).parts().selector


def _trained(case: Case) -> TinySearch:
    """A search of its own whose training is over."""
    case.once(whole)  # a search that always fails does not fail for what is checked here
    search = begin(case.once(plan).parts(), seed=0)
    search.train()
    return search
