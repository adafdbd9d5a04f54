"""Who enters a tournament: numbers, origins and costs of candidates."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import islice, product
from random import Random
from types import SimpleNamespace

import attrs
import pytest
import torch
from safetensors.torch import save_file

from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.candidates import plan_brackets, refuse_tournament
from nasplug.runs.create import start
from nasplug.runs.rated_candidates import best_rated, in_order
from nasplug.store.events import ignore_event
from nasplug.values import Genotype, Rated
from nasplug.values.recipe import SelectOptions

PLUGINS = load_plugins()


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """Starts a run on 700 images, with options by section."""
    folder = tmp_path_factory.mktemp("candidates")
    pixels = torch.randint(0, 256, (700, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"images": pixels, "labels": torch.arange(700) % 4}, folder / "images.safetensors")

    def begin(budget=None, space=None, run=None, data=None, **select):
        layer = {
            "space": space
            or {
                "part": "darts",
                "cells": 2,
                "nodes": 2,
                "channels": 4,
                "choices": "node",
                "topology": "per-cell",
                "operations": "nadd3",
            },
            "data": {
                "name": f"arrays:{folder / 'images.safetensors'}",
                "validation": 0.1,
                "test": 0.05,
                **(data or {}),
            },
            "run": {"method": "random", "preset": "tiny", "threads": 1, "device": "cpu", **(run or {})},
            "select": {"networks": 2, "random": 1, "candidates": 8, "measures": ["memory"], **select},
            "budget": budget or {},
        }
        number = len(list(folder.iterdir()))
        return start(folder / f"run{number}", PLUGINS, resolve(PLUGINS, [layer]), [])

    return begin


def plan(context, count=3):
    generator = Random(0)
    found = [context.composition.space.random(generator) for _ in range(count)]
    steps = plan_brackets(context, found, lambda: False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return found, end.value


def genotypes_of(bracket):
    return [candidate.plan.genotype for candidate in bracket.candidates]


def test_what_the_search_left_comes_first_then_its_mutations_and_as_many_random_ones(begin):
    found, brackets = plan(begin(random=2))
    assert [bracket.role for bracket in brackets] == ["found", "random", "random"]
    assert {len(bracket.candidates) for bracket in brackets} == {8}
    assert len({bracket.rungs for bracket in brackets}) == 1
    assert set(genotypes_of(brackets[0])[:3]) == set(found)
    origins = [[candidate.origin for candidate in bracket.candidates] for bracket in brackets]
    assert origins == [["search"] * 3 + ["mutation"] * 5, ["random"] * 8, ["random"] * 8]
    assert len({genotype for bracket in brackets for genotype in genotypes_of(bracket)}) == 24
    assert all(candidate.plan.matched_to is None for bracket in brackets for candidate in bracket.candidates)


def rate(context, blocks):
    """Records ratings of paths as a search does: by block, those of each path."""
    journal = context.journal(context.folder.events, ignore_event)
    for block, ratings in blocks.items():
        for path, rating in ratings.items():
            journal.append("search", Rated(block=block, path=path, rating=rating).record())


def test_half_of_the_candidates_are_the_best_rated_architectures_within_the_budget(begin):
    context = begin({"params": 20_000}, random=1)
    space, generator = context.composition.space, Random(7)
    rated = {space.random(generator): generator.random() for _ in range(40)}
    rate(context, {None: rated})
    costs = {genotype: space.cost(genotype, context.shape).params for genotype in rated}
    limit = sorted(costs.values())[25]
    context = attrs.evolve(context, composition=attrs.evolve(context.composition, recipe=limited(context, limit)))

    found, (search, _) = plan(context, 12)

    within = [genotype for genotype in sorted(rated, key=rated.__getitem__) if costs[genotype] <= limit]
    assert [candidate.origin for candidate in search.candidates] == ["search"] * 4 + ["rating"] * 4
    assert set(genotypes_of(search)[:4]) <= set(found)
    assert genotypes_of(search)[4:] == within[:4]
    assert all(candidate.plan.costs.params <= limit for candidate in search.candidates)


def limited(context, limit):
    recipe = context.recipe
    return attrs.evolve(recipe, budget=attrs.evolve(recipe.budget, limits={"params": (float(limit),)}))


def test_where_fewer_are_rated_mutations_of_all_follow(begin):
    context = begin({"params": 20_000}, random=1)
    generator = Random(7)
    rate(context, {None: {context.composition.space.random(generator): rating for rating in (0.3, 0.1)}})
    _, (search, _) = plan(context, 2)
    assert [candidate.origin for candidate in search.candidates] == ["search"] * 2 + ["rating"] * 2 + ["mutation"] * 4
    assert len(set(genotypes_of(search))) == 8


def test_paths_through_blocks_are_combined_by_the_sum_of_their_ratings(begin):
    space = {"part": "mbconv", "blocks": ["s1 1x4 2x4", "s2 1x6"], "channels": 8, "head": 8}
    context = begin({"params": 60_000}, space=space)
    generator = Random(3)
    blocks = {
        block: {path: generator.random() for path in context.composition.space.paths(block).select(6, generator)}
        for block in (0, 1)
    }
    rate(context, blocks)
    sums = sorted((one + other, (a, b)) for a, one in blocks[0].items() for b, other in blocks[1].items())
    best = list(best_rated(context, {}))
    assert best == [Genotype.join(paths) for _, paths in sums]
    costs = {genotype: context.composition.space.cost(genotype, context.shape) for genotype in best}
    limit = sorted(cost.macs for cost in costs.values())[10]
    assert list(best_rated(context, {"macs": limit})) == [each for each in best if costs[each].macs <= limit]


def test_combinations_come_in_the_order_of_their_sums_without_looking_at_all(begin):
    generator = Random(4)
    path = begin().composition.space.random(generator)
    blocks = [
        [Rated(block, path, generator.gauss(0, 1)) for _ in range(count)] for block, count in enumerate((7, 1, 5))
    ]

    def rating(paths):
        return sum(each.rating for each in paths)

    assert list(in_order(blocks)) == sorted(product(*blocks), key=rating)
    wide = [[Rated(block, path, generator.random()) for _ in range(10**4)] for block in range(6)]
    sums = [rating(paths) for paths in islice(in_order(wide), 300)]
    assert sums == sorted(sums)
    assert sums[0] == sum(min(each.rating for each in block) for block in wide)


def test_random_combinations_follow_where_the_best_of_many_are_too_large(begin, monkeypatch):
    monkeypatch.setattr("nasplug.runs.rated_candidates.MOST", 4)
    space = {"part": "mbconv", "blocks": ["s1 1x4 2x4", "s2 1x6"], "channels": 8, "head": 8}
    context = begin({"params": 60_000}, space=space)
    paths = context.composition.space.paths
    blocks = {
        block: {path: float(number) for number, path in enumerate(paths(block).select(6, Random(3)))}
        for block in (0, 1)
    }
    rate(context, blocks)
    best = list(best_rated(context, {}))
    sums_of = {Genotype.join((a, b)): one + other for a, one in blocks[0].items() for b, other in blocks[1].items()}
    sums = [sums_of[genotype] for genotype in best]
    assert sums[:4] == [0, 1, 1, 2]
    assert 4 < len(best) <= 8
    assert len(set(best)) == len(best)
    assert sums[4:] == sorted(sums[4:])


def test_mutations_are_one_step_from_what_the_search_left(begin):
    found, (search, _) = plan(begin())

    def differences(one, other):
        return sum(a != b for a, b in zip(one.picks, other.picks, strict=True))

    for genotype in genotypes_of(search)[3:]:
        assert min(differences(genotype, parent) for parent in found) == 1


def test_without_a_budget_candidates_have_one_size_and_random_ones_as_many_params(begin):
    _, (search, random) = plan(begin())
    sizes = {tuple(sorted(each.plan.size.items())) for each in (*search.candidates, *random.candidates)}
    assert len(sizes) == 1
    for one, other in zip(search.candidates, random.candidates, strict=True):
        assert other.plan.costs.params == pytest.approx(one.plan.costs.params, rel=0.05)


def test_every_candidate_is_scaled_to_each_budget(begin):
    _, brackets = plan(begin({"params": [20_000, 40_000]}, candidates=4))
    assert [(bracket.role, bracket.budget["params"]) for bracket in brackets] == [
        ("found", 20_000),
        ("random", 20_000),
        ("found", 40_000),
        ("random", 40_000),
    ]
    for bracket in brackets:
        assert len(bracket.candidates) == 4
        for candidate in bracket.candidates:
            assert candidate.plan.budget == bracket.budget
            assert 0.7 < candidate.plan.costs.params / bracket.budget["params"] <= 1


def test_candidates_are_measured_by_what_the_budget_limits(begin):
    context = begin({"params": 20_000}, measures=["memory"])
    _, brackets = plan(context)
    assert set(context.composition.costs) == {"memory"}
    assert {name for bracket in brackets for each in bracket.candidates for name in each.plan.costs} == {
        "params",
        "macs",
    }


def test_of_too_many_the_sizes_are_spread(begin):
    context = begin(candidates=4)
    found, (search, _) = plan(context, 12)
    params = sorted(context.composition.space.cost(genotype, context.shape).params for genotype in found)
    chosen = [candidate.plan.costs.params for candidate in search.candidates]
    assert [candidate.origin for candidate in search.candidates] == ["search"] * 4
    assert (chosen[0], chosen[-1]) == (params[0], params[-1])


def test_the_same_seed_gives_the_same_candidates(begin):
    (_, one), (_, again), (_, other) = plan(begin()), plan(begin()), plan(begin(run={"seed": 1}))
    assert one == again
    assert set(genotypes_of(one[0])) != set(genotypes_of(other[0]))
    assert set(genotypes_of(one[1])).isdisjoint(genotypes_of(other[1]))


def test_a_small_space_gives_brackets_of_equal_numbers(begin):
    """It has 16 architectures. Random candidates are none that the search left, so there are fewer of them."""
    operations = ["skip_connect", "sep_conv_3x3"]
    space = {"part": "darts", "cells": 1, "nodes": 1, "channels": 2, "operations": operations, "choices": "edge"}
    context = begin(space=space, candidates=20, networks=1)
    found, (search, random) = plan(context, 1)
    assert context.composition.space.paths(None).count == 16
    assert 2 < len(search.candidates) == len(random.candidates) < 16
    for bracket in (search, random):
        assert len(set(genotypes_of(bracket))) == len(bracket.candidates)
    assert found[0] not in genotypes_of(random)


def test_a_tournament_without_validation_images_is_refused_at_the_start(begin):
    with pytest.raises(InputError, match=r"chooses by validation error, and this run holds out no validation images"):
        begin(data={"validation": 0.0})
    begin(data={"validation": 0.0}, candidates=0)


def test_a_tournament_with_a_table_is_refused():
    run = SimpleNamespace(table="table.csv")
    for select in (SelectOptions(candidates=0), SelectOptions(candidates=16)):
        recipe = SimpleNamespace(run=run, select=select)
        context = SimpleNamespace(recipe=recipe, splits=SimpleNamespace(validation=range(300)))
        with (
            nullcontext() if select.candidates == 0 else pytest.raises(InputError, match=r"and --table looks networks")
        ):
            refuse_tournament(context)


def test_fewer_candidates_than_networks_are_refused():
    layer = {"run": {"method": "random", "preset": "tiny"}, "select": {"networks": 4, "candidates": 3}}
    with pytest.raises(
        InputError, match=r"select: Option 'candidates' .* at least as many .* set select.candidates=16"
    ):
        resolve(PLUGINS, [layer])
