"""The genotypes of a table of choices: a place for each choice, which holds as many of its candidates as it allows.

A choice with a parent has a place only in genotypes that hold its parent's candidate. The order of places is that of
the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from random import Random

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError, quote, quote_all, suggest
from nasplug.parts import Choice, Choices, Paths
from nasplug.values import Genotype

Picks = Mapping[str, tuple[str, ...]]
"""By place, the candidates that are held there."""


@attrs.frozen
class ChoiceTable:
    """What the genotypes of the space `space` are, given its choices.

    Raises InputError for a table without a meaning: names that occur twice, choices that hold no candidate or more than
    they have, and parents that do not come before their children.
    """

    space: str
    choices: tuple[Choice, ...]

    def __attrs_post_init__(self) -> None:
        before: dict[str, Choice] = {}
        for choice in self.choices:
            self._check_choice(choice, before)
            before[choice.name] = choice

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless each choice that has a place holds as many of its candidates there as it allows."""
        if genotype.space != self.space:
            raise InputError(f"This genotype belongs to the space {quote(genotype.space)}, not to '{self.space}'.")
        picks = dict(genotype.picks)
        open_choices = [choice for choice in self.choices if _is_open(choice, picks)]
        expected = [choice.name for choice in open_choices]
        if list(genotype.places) != expected:
            raise InputError(
                f"A genotype of '{self.space}' with these picks has the places {quote_all(expected)}, in this order; "
                f"this one has {quote_all(genotype.places) if picks else 'none'}."
            )
        for choice in open_choices:
            picked = picks[choice.name]
            for name in picked:
                if name not in choice.candidates:
                    raise InputError(
                        f"At {quote(choice.name)} there is no candidate {quote(name)} in the space '{self.space}', but "
                        f"{', '.join(choice.candidates)}.{suggest(name, choice.candidates)}"
                    )
            if not choice.at_least <= len(set(picked)) == len(picked) <= _most(choice):
                raise InputError(
                    f"At {quote(choice.name)} a genotype of '{self.space}' holds {_describe_count(choice)} of "
                    f"{', '.join(choice.candidates)}; this one holds {quote_all(picked) if picked else 'none'}."
                )

    def parse(self, text: str) -> Genotype:
        """The genotype that a JSON text holds. Raises InputError for any other text and for foreign genotypes."""
        genotype = Genotype.from_json(text)
        self.check(genotype)
        return genotype

    def random(self, generator: Random) -> Genotype:
        """In the order of the table: a number of candidates, then so many candidates, each uniformly at random."""
        return self._complete({}, generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another pick at one place: one candidate exchanged, added or removed; the genotype itself if there is none.

        Places that the new pick opens are filled at random.
        """
        picks = dict(genotype.picks)
        others = {name: tuple(self._alternatives(name, picked)) for name, picked in picks.items()}
        places = [name for name, alternatives in others.items() if alternatives]
        if not places:
            return genotype
        place = generator.choice(places)
        return self._complete({**picks, place: generator.choice(others[place])}, generator)

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """At each place the active candidates of the largest weights, as many as it may hold; ties go to the first.

        Those of weight 0, which the supernet does without, only where a place would hold too few. A choice without
        active candidates holds its first ones. `weights` is (choices, candidates).
        """
        table, picks = weights.tolist(), dict[str, tuple[str, ...]]()
        for choice in self.choices:
            row = choices.rows[choice.name]
            if _is_open(choice, picks):
                columns = choices.active_columns[row] or range(choice.at_least)
                ranked = sorted(columns, key=table[row].__getitem__, reverse=True)
                counting = sum(table[row][column] > 0 for column in columns)
                held = ranked[: max(choice.at_least, counting)][: choice.at_most]
                picks[choice.name] = tuple(choice.candidates[column] for column in held)
        return Genotype(self.space, picks)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, bool (choices, candidates) on the CPU: none where it has no place.

        Of a path through some blocks, rows that belong to none of these are true for all their candidates.
        """
        picks, width = dict(genotype.picks), choices.valid_mask.shape[1]
        named = {block for choice in choices if choice.name in picks for block in choice.blocks}
        rows = []
        for choice in choices:
            held = picks.get(choice.name, () if named.intersection(choice.blocks) else choice.candidates)
            row = [candidate in held for candidate in choice.candidates]
            rows.append(row + [False] * (width - len(row)))
        return torch.tensor(rows, dtype=torch.bool)

    def paths(self, block: int | None) -> Paths:
        """All picks of the choices that affect a block, depth-first: the last place changes fastest; None: of all."""
        table = self if block is None else table_of(self.space, self._choices_of(block))
        return Paths(count=table._count(), enumerate=table._enumerate, sample=table.random)

    def _choices_of(self, block: int) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if block in choice.blocks)

    def _complete(self, kept: Picks, generator: Random) -> Genotype:
        """The picks in `kept` at places that there are with them, and random ones at all other places."""
        picks: dict[str, tuple[str, ...]] = {}
        for choice in self.choices:
            if _is_open(choice, picks):
                picks[choice.name] = kept.get(choice.name) or _draw(choice, generator)
        return Genotype(self.space, picks)

    def _alternatives(self, place: str, picked: Sequence[str]) -> Iterator[tuple[str, ...]]:
        choice = next(choice for choice in self.choices if choice.name == place)
        left = [name for name in choice.candidates if name not in picked]
        for old in picked:
            others = tuple(name for name in picked if name != old)
            yield from ((*others, new) for new in left)
            if len(others) >= choice.at_least:
                yield others
        if len(picked) < _most(choice):
            yield from ((*picked, new) for new in left)

    def _enumerate(self) -> Iterator[Genotype]:
        return (Genotype(self.space, picks) for picks in _walk(self.choices, {}))

    def _count(self) -> int:
        """The number of genotypes, without listing them."""
        total, below = 1, dict[tuple[str, str], int]()
        for choice in reversed(self.choices):
            # by size, the number of ways to hold so many of the candidates seen, and to fill the places that they open
            ways = [1]
            for candidate in choice.candidates:
                inside = below.get((choice.name, candidate), 1)
                ways = [without + inside * one_less for without, one_less in zip([*ways, 0], [0, *ways], strict=True)]
            count = sum(ways[choice.at_least : _most(choice) + 1])
            if choice.parent is None:
                total *= count
            else:
                below[choice.parent] = below.get(choice.parent, 1) * count
        return total

    def _check_choice(self, choice: Choice, before: Mapping[str, Choice]) -> None:
        def refuse(what: str, remedy: str) -> InputError:
            return InputError(f"The choice {quote(choice.name)} of the space '{self.space}' {what}; {remedy}.")

        if choice.name in before or len(set(choice.candidates)) < len(choice.candidates):
            raise refuse("or one of its candidates has a name that is there already", "give each a name of its own")
        if not 1 <= choice.at_least <= _most(choice) <= len(choice.candidates):
            raise refuse(
                f"holds {_describe_count(choice)} of {len(choice.candidates)} candidates",
                "let it hold at least one and at most all (a candidate may be one that gives zeros)",
            )
        if choice.parent is None:
            return
        parent = before.get(choice.parent[0])
        if parent is None or choice.parent[1] not in parent.candidates or choice.blocks != parent.blocks:
            raise refuse(
                f"has as parent {quote(choice.parent[1])} of {quote(choice.parent[0])}, which is no candidate of a "
                f"choice before it in the same blocks",
                "put parents first",
            )


@lru_cache(maxsize=256)
def table_of(space: str, choices: tuple[Choice, ...]) -> ChoiceTable:
    """The table of these choices, checked once."""
    return ChoiceTable(space, choices)


def _is_open(choice: Choice, picks: Picks) -> bool:
    """Whether a choice has a place in a genotype with these picks."""
    return choice.parent is None or choice.parent[1] in picks.get(choice.parent[0], ())


def _most(choice: Choice) -> int:
    return len(choice.candidates) if choice.at_most is None else choice.at_most


def _describe_count(choice: Choice) -> str:
    least, most = choice.at_least, _most(choice)
    return f"exactly {least}" if least == most else f"{least} to {most}"


def _draw(choice: Choice, generator: Random) -> tuple[str, ...]:
    least, most = choice.at_least, _most(choice)
    count = least if least == most else generator.randint(least, most)
    return (generator.choice(choice.candidates),) if count == 1 else tuple(generator.sample(choice.candidates, count))


def _walk(choices: Sequence[Choice], picks: Picks) -> Iterator[Picks]:
    """All ways to go on from `picks` with the choices that are left."""
    if not choices:
        yield picks
        return
    choice, rest = choices[0], choices[1:]
    if not _is_open(choice, picks):
        yield from _walk(rest, picks)
        return
    for count in range(choice.at_least, _most(choice) + 1):
        for held in combinations(choice.candidates, count):
            yield from _walk(rest, {**picks, choice.name: held})
