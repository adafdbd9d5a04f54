"""Evolution of architectures that are trained for a few epochs each.

Truncation selection and mutation, as in Real et al., Large-Scale Evolution of Image Classifiers (ICML 2017), with
trainings that are short: the errors order architectures, and say nothing of what a whole training reaches.
"""

from __future__ import annotations

import math
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from random import Random

import attrs

from nasplug.errors import InputError
from nasplug.parts import SearchSpace, SearchState, Selector, option
from nasplug.parts.selector import Selected
from nasplug.values import Found, Genotype, Progress

SPLIT = "train.trial"
TRIES = 50
"""Architectures proposed for each one that is wanted, at most; small spaces and tight budgets do not have as many."""
AGAIN = 0.5
"""The probability with which an architecture that was just mutated is mutated once more."""


@attrs.define
class Evolution(Selector):
    """Trains a population as large as the budget allows, then, generation after generation, mutations of the best.

    The population begins with what the optimizer decides on, and is filled up with random architectures. So an
    optimizer that has trained a supernet gives evolution a start; `random` gives it a sample. Random search at the same
    cost is a larger population without generations. Under several budgets every architecture is trained within each,
    and the mean of its errors counts.
    """

    needs_supernet = False
    score = "trial_error"
    best_first = True

    population: int = option(8, "architectures trained before the first generation of mutations", at_least=1)
    generations: int = option(6, "generations of mutations", at_least=0)
    children: int = option(4, "mutations trained in each generation", at_least=1)
    parents: int = option(4, "best architectures so far, which are mutated", at_least=1)
    epochs: int = option(3, "epochs for which each architecture is trained", at_least=1)
    share: float = option(
        0.1, "share of the training images on which errors are measured, and none of them learns", above=0, at_most=0.5
    )

    def splits(self) -> Mapping[str, float]:
        """One share, on which no network is trained."""
        return {SPLIT: self.share}

    def trials(self) -> tuple[int, int]:
        """The population and all children."""
        return self.population + self.generations * self.children, self.epochs

    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """All architectures that were trained, the best first. InputError if none that was met keeps the budgets."""
        generator = search_state.random("evolution")
        errors: dict[Genotype, float] = {}
        yield from self._try(search_state, errors, self.population, _start(search_state), generator, parents=0)
        for _ in range(self.generations):
            yield from self._try(search_state, errors, self.children, [], generator, self.parents)
        ranked = _best(errors)
        if not ranked:
            raise InputError(
                f"Of {len(errors)} architectures of '{search_state.space.name}' that were tried, none keeps the "
                f"budget; allow more, or take a selector that knows the smallest, such as 'rating'."
            )
        for genotype in ranked:
            yield Found(genotype, 0, "evolved", {self.score: errors[genotype]})

    def _try(
        self,
        search_state: SearchState,
        errors: dict[Genotype, float],
        wanted: int,
        first: Sequence[Genotype],
        generator: Random,
        parents: int,
    ) -> Iterator[Progress]:
        """Trains `wanted` new architectures, those of `first` first, and adds their errors to `errors`.

        Others are mutations of so many `parents`, or random ones. Infinity is the error of those that do not keep a
        budget; others of their kind take their places.
        """
        given = first[-wanted:]  # the latest snapshots, and what was decided at the end
        for _ in range(TRIES):
            best = _best(errors)[:parents]
            new = list(_propose(search_state.space, errors, given, wanted, best, generator))
            if not new:  # there are no others
                return
            errors.update((yield from self._train(search_state, new)))
            wanted -= sum(math.isfinite(errors[genotype]) for genotype in new)
            if wanted == 0:
                return
            given = []

    def _train(
        self, search_state: SearchState, genotypes: Sequence[Genotype]
    ) -> Generator[Progress, None, dict[Genotype, float]]:
        """The mean error of each architecture over the budgets; infinity if it does not keep one of them."""
        budgets = search_state.run_budgets or ({},)
        sums = dict.fromkeys(genotypes, 0.0)
        for budget in budgets:
            left = [genotype for genotype in genotypes if math.isfinite(sums[genotype])]
            errors = yield from search_state.train(left, self.epochs, SPLIT, budget)
            for genotype, error in zip(left, errors, strict=True):
                sums[genotype] += math.inf if error is None else error
        return {genotype: total / len(budgets) for genotype, total in sums.items()}


def _propose(
    space: SearchSpace,
    known: Container[Genotype],
    given: Sequence[Genotype],
    wanted: int,
    parents: Sequence[Genotype],
    generator: Random,
) -> Iterator[Genotype]:
    """At most `wanted` that are not known: those given, then mutations of `parents`, or random ones without parents."""
    proposed = dict.fromkeys(given)
    yield from proposed
    for _ in range(TRIES * wanted):
        if len(proposed) == wanted:
            return
        if parents:
            genotype = space.mutate(generator.choice(parents), generator)
            while generator.random() < AGAIN:
                genotype = space.mutate(genotype, generator)
        else:
            genotype = space.random(generator)
        if genotype not in known and genotype not in proposed:
            proposed[genotype] = None
            yield genotype


def _start(search_state: SearchState) -> list[Genotype]:
    """What the search has left: its snapshots, then what the optimizer decides on."""
    left = [step.snapshot for step in search_state.snapshots if step.snapshot is not None]
    if search_state.optimizer is not None:
        decided = search_state.optimizer.decide(search_state)
        left += [event.genotype for event in decided if isinstance(event, Found)]
    return list(dict.fromkeys(left))


def _best(errors: Mapping[Genotype, float]) -> list[Genotype]:
    """Those with an error, the best first; of equal ones the earlier."""
    return sorted((genotype for genotype in errors if math.isfinite(errors[genotype])), key=errors.__getitem__)
