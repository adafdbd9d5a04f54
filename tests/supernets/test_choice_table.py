"""Genotypes of a table of choices: against listing every one of them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product
from random import Random

import pytest
import torch

from nasplug.builtin.nb201 import NasBench201
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices
from nasplug.supernets import ChoiceTable
from nasplug.values import Genotype

TABLE = ChoiceTable(
    "tried",
    (
        Choice("depth", ("shallow", "deep"), at_most=1),
        Choice("first", ("a", "b", "c"), at_most=1),
        Choice("second", ("a", "b", "c"), at_most=1, parent=("depth", "deep")),
        Choice("third", ("a", "b"), at_most=1, parent=("second", "c")),
        Choice("inputs", ("x", "y", "z"), at_least=1, at_most=2, blocks=(1,)),
        Choice("pair", ("p", "q", "r"), at_least=2, at_most=2, blocks=(1,)),
    ),
)


def every_genotype() -> set[Genotype]:
    """Written out by hand, place by place."""
    second = [{"second": (name,)} for name in "ab"] + [{"second": ("c",), "third": (name,)} for name in "ab"]
    depths = [{"depth": ("shallow",)}, *({"depth": ("deep",), **rest} for rest in second)]
    inputs = [held for count in (1, 2) for held in combinations("xyz", count)]
    found = set()
    for depth, first, held, pair in product(depths, "abc", inputs, combinations("pqr", 2)):
        picks = {"depth": depth["depth"], "first": (first,), **depth, "inputs": held, "pair": pair}
        found.add(Genotype("tried", picks))
    return found


def test_paths_are_all_genotypes_once() -> None:
    every = every_genotype()
    assert len(every) == (1 + 2 + 2) * 3 * 6 * 3
    paths = TABLE.paths(None)
    listed = list(paths.enumerate())
    assert paths.count == len(listed) == len(every)
    assert set(listed) == every
    for genotype in listed:
        TABLE.check(genotype)


def test_paths_of_blocks_are_counted_on_their_own_and_join() -> None:
    first, second = TABLE.paths(0), TABLE.paths(1)
    assert (first.count, second.count) == (15, 18)
    joined = {Genotype.join(pair) for pair in product(first.enumerate(), second.enumerate())}
    assert joined == every_genotype()


def test_encode_and_decode_are_inverse_for_every_genotype() -> None:
    choices = Choices(TABLE.choices)
    for genotype in every_genotype():
        mask = TABLE.encode(genotype, choices)
        assert {
            (choice.name, name)
            for choice, row in zip(TABLE.choices, mask.tolist(), strict=True)
            for name, held in zip(choice.candidates, row, strict=False)
            if held
        } == {(place, name) for place, picked in genotype.picks for name in picked}
        assert TABLE.decode(choices, mask.float()) == genotype
        with choices.only(mask):
            assert TABLE.decode(choices, mask.float()) == genotype


def test_a_path_leaves_the_rows_of_other_blocks_open() -> None:
    choices = Choices(TABLE.choices)
    mask = TABLE.encode(Genotype("tried", {"depth": ("shallow",), "first": ("b",)}), choices)
    assert mask[:4].tolist() == [[True, False, False], [False, True, False], [False] * 3, [False] * 3]
    assert bool(mask[4:].all())


def test_decode_takes_the_heaviest_and_of_equal_ones_the_first() -> None:
    choices = Choices(TABLE.choices)
    weights = torch.tensor([[0.2, 0.8, 0], [1, 3, 3], [1, 1, 1], [9, 9, 0], [0.1, 0.3, 0.2], [5, 5, 5]])
    decoded = TABLE.decode(choices, weights)
    assert dict(decoded.picks) == {
        "depth": ("deep",),
        "first": ("b",),
        "second": ("a",),
        "inputs": ("y", "z"),
        "pair": ("p", "q"),
    }
    choices.delete(torch.tensor([[False, True, False], *[[False] * 3] * 5]))
    assert dict(TABLE.decode(choices, weights).picks)["depth"] == ("shallow",)


def test_decode_leaves_out_what_weighs_nothing_as_far_as_a_place_allows() -> None:
    choice = Choice("any", ("a", "b", "c", "d"), at_least=2)
    table, choices = ChoiceTable("tried", (choice,)), Choices((choice,))
    for weights, held in (
        ([0.4, 0, 0.3, 0.3], "acd"),
        ([0, 0, 1, 0], "ac"),
        ([0, 0, 0, 0], "ab"),
        ([1, 1, 1, 1], "abcd"),
    ):
        assert table.decode(choices, torch.tensor([weights])) == Genotype("tried", {"any": tuple(held)})


def test_random_architectures_are_uniform_place_by_place() -> None:
    draws = [TABLE.random(Random(seed)) for seed in range(3000)]
    for genotype in draws:
        TABLE.check(genotype)
    depths = Counter(genotype["depth"] for genotype in draws)
    counts = Counter(len(genotype["inputs"]) for genotype in draws)
    pairs = Counter(genotype["pair"] for genotype in draws)
    for counter, kinds in ((depths, 2), (counts, 2), (pairs, 3)):
        assert len(counter) == kinds
        expected = 3000 / kinds
        assert sum((count - expected) ** 2 / expected for count in counter.values()) < 13.9  # 0.999 quantile, 2 degrees


def test_mutations_change_one_pick_and_reach_all_of_them() -> None:
    start = Genotype("tried", {"depth": ("shallow",), "first": ("a",), "inputs": ("x",), "pair": ("p", "q")})
    reached = {TABLE.mutate(start, Random(seed)) for seed in range(800)}
    for genotype in reached:
        TABLE.check(genotype)
        changed = [place for place in start.places if genotype[place] != start[place]]
        assert len(changed) == 1
        assert set(genotype.places) == set(start.places) or changed == ["depth"]
    picks = Counter(next(place for place in start.places if genotype[place] != start[place]) for genotype in reached)
    # deep opens 4 ways; first b and c; inputs y, z, x+y, x+z; pair p+r and q+r
    assert picks == {"depth": 4, "first": 2, "inputs": 4, "pair": 2}


def test_mutations_keep_what_is_below_places_that_stay() -> None:
    start = Genotype(
        "tried",
        {
            "depth": ("deep",),
            "first": ("a",),
            "second": ("c",),
            "third": ("b",),
            "inputs": ("x",),
            "pair": ("p", "q"),
        },
    )
    for seed in range(200):
        mutated = TABLE.mutate(start, Random(seed))
        TABLE.check(mutated)
        if mutated["first"] != ("a",):
            assert (mutated["second"], mutated["third"]) == (("c",), ("b",))
        if "second" in mutated.places and mutated["second"] != ("c",):
            assert "third" not in mutated.places


def test_a_table_without_alternatives_mutates_to_itself() -> None:
    table = ChoiceTable("one", (Choice("only", ("a",), at_most=1),))
    genotype = table.random(Random(0))
    assert table.mutate(genotype, Random(0)) == genotype


def test_random_numbers_are_used_as_nb201_does() -> None:
    """So that a space written by hand can be derived from the table without a change of its runs."""
    space = NasBench201()
    table = ChoiceTable(space.name, space.choice_list())
    for seed in range(50):
        genotype = space.random(Random(seed))
        assert table.random(Random(seed)) == genotype
        assert table.mutate(genotype, Random(seed)) == space.mutate(genotype, Random(seed))
    choices = Choices(space.choice_list())
    weights = torch.rand(choices.alpha.shape, generator=torch.Generator().manual_seed(0))
    assert table.decode(choices, weights) == space.decode(choices, weights)


GOOD = {"depth": ["shallow"], "first": ["a"], "inputs": ["x"], "pair": ["p", "q"]}


@pytest.mark.parametrize(
    ("picks", "words"),
    [
        (GOOD | {"second": ["a"]}, "has the places depth, first, inputs, pair, in this order"),
        (GOOD | {"depth": ["deep"]}, "has the places depth, first, second"),
        ({"first": ["a"], **GOOD}, "in this order"),
        ({}, "this one has none"),
        (GOOD | {"first": ["d"]}, "At 'first' there is no candidate 'd' in the space 'tried', but a, b, c."),
        (GOOD | {"first": ["a", "b"]}, "holds exactly 1 of a, b, c; this one holds a, b"),
        (GOOD | {"pair": ["p"]}, "holds exactly 2 of"),
        (GOOD | {"inputs": ["x", "y", "z"]}, "holds 1 to 2 of"),
        (GOOD | {"inputs": []}, "this one holds none"),
        (GOOD | {"pair": ["p", "p"]}, "holds exactly 2 of"),
    ],
)
def test_foreign_genotypes_are_refused_in_a_sentence(picks: dict[str, list[str]], words: str) -> None:
    TABLE.check(Genotype("tried", {name: tuple(held) for name, held in GOOD.items()}))
    with pytest.raises(InputError) as refusal:
        TABLE.check(Genotype("tried", {name: tuple(held) for name, held in picks.items()}))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ([Choice("a", ("x",)), Choice("a", ("y",))], "a name that is there already"),
        ([Choice("a", ("x", "x"))], "a name that is there already"),
        ([Choice("a", ("x",), at_least=0)], "holds 0 to 1 of 1 candidates"),
        ([Choice("a", ("x",), at_most=2)], "holds 1 to 2 of 1 candidates"),
        ([Choice("a", ("x",), parent=("b", "y")), Choice("b", ("y",))], "put parents first"),
        ([Choice("b", ("y",), blocks=(1,)), Choice("a", ("x",), parent=("b", "y"))], "in the same blocks"),
    ],
)
def test_tables_without_a_meaning_are_refused(choices: list[Choice], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ChoiceTable("tried", tuple(choices))
