"""Evolution by short trainings: with errors that are a formula in a toy space, and in runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import cast

import attrs
import pytest
import torch
from safetensors.torch import save_file

from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.builtin.selectors.evolution import SPLIT, Evolution
from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.parts import FurtherWork, SearchState
from nasplug.plugins import load_plugins
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.create import start
from nasplug.runs.search import found_genotypes, search
from nasplug.runs.training import Stopped
from nasplug.store.events import Journal, read_events
from nasplug.store.run_folder import RunFolder
from nasplug.testing.toy import Toy
from nasplug.values import Budget, Found, Genotype, ImageShape, Progress, Step

SHAPE = ImageShape(channels=2, size=8, classes=2)
SPACE = Toy(cells=4)
NET = SPACE.supernet(SHAPE)


def misses(genotype: Genotype) -> int:
    """How far its candidates stand from the last ones of their choices."""
    return int((3 - SPACE.encode(genotype, NET.choices).float().argmax(1)).sum())


@attrs.define
class Formula:
    """Says that an architecture is the better, the later its candidates stand in their choices; a budget adds to it."""

    asked: list[tuple[list[Genotype], Budget]] = attrs.field(factory=list)
    least: int = 0
    """Architectures with fewer misses keep no budget."""
    sign: int = 1
    """-1: the earlier its candidates stand, the better."""

    def train(
        self, genotypes: Sequence[Genotype], epochs: int, split: str, budget: Budget
    ) -> Generator[Progress, None, list[float | None]]:
        assert (epochs, split) == (3, SPLIT)
        self.asked.append((list(genotypes), budget))
        yield Progress("trial", 1, 1, "")
        misfits = [misses(genotype) < self.least for genotype in genotypes]
        return [
            None if misfit else self.sign * misses(genotype) / 12 + budget.get("params", 0)
            for genotype, misfit in zip(genotypes, misfits, strict=True)
        ]


def run(
    selector: Evolution,
    work: Formula,
    budgets: Sequence[Mapping[str, float]] = (),
    snapshots: Sequence[Genotype] = (),
    optimizer: RandomSearch | None = None,
) -> list[Found]:
    steps = [Step(step=1, epoch=1, loss=1.0, snapshot=genotype, reason="made up") for genotype in snapshots]
    state = SearchState(
        SPACE,
        SHAPE,
        None,
        steps,
        lambda split, count: iter(()),
        0,
        run_budgets=budgets,
        optimizer=optimizer,
        work=cast("FurtherWork", work),
    )
    return [event for event in selector.select(state) if isinstance(event, Found)]


def test_the_best_architecture_is_bred_with_far_fewer_trainings_than_there_are_architectures():
    work = Formula()
    found = run(Evolution(population=8, generations=10, children=4, parents=3), work)
    assert misses(found[0].genotype) == 0
    errors = [event.measures["trial_error"] for event in found]
    assert errors == sorted(errors)
    assert len(found) == 8 + 10 * 4 < 4**4
    trained = [genotype for genotypes, _ in work.asked for genotype in genotypes]
    assert len(trained) == len(set(trained)) == len(found)


def test_mutations_pay_where_random_search_of_the_same_cost_does_not():
    evolved = run(Evolution(population=8, generations=4, children=4, parents=3), Formula())
    drawn = run(Evolution(population=24, generations=0), Formula())
    assert len(evolved) == len(drawn) == 24
    assert misses(evolved[0].genotype) < misses(drawn[0].genotype)


def test_children_descend_from_the_best_so_far():
    work = Formula()
    run(Evolution(population=6, generations=1, children=5, parents=1), work)
    population, children = (genotypes for genotypes, _ in work.asked)
    best = min(population, key=misses)
    alike = [len(set(best.picks) & set(child.picks)) for child in children]
    assert max(alike) == 3  # one mutation of four places
    assert sum(alike) / len(alike) > 2  # of random ones one place would agree


def test_the_population_begins_with_what_the_search_has_left():
    work, left = Formula(), [SPACE.parse(text) for text in ("skip point pool point", "point point point point")]
    run(Evolution(population=5, generations=0), work, snapshots=[*left, left[0]], optimizer=RandomSearch(samples=2))
    (population, _), *_ = work.asked
    assert population[:2] == left
    assert len(population) == 5
    run(Evolution(population=1, generations=0), work, snapshots=left)
    assert work.asked[-1][0] == left[-1:]


def test_several_budgets_train_each_architecture_within_each_of_them():
    work = Formula()
    found = run(Evolution(population=3, generations=1, children=2), work, [{"params": 1.0}, {"params": 2.0}])
    assert [(len(genotypes), budget["params"]) for genotypes, budget in work.asked] == [(3, 1), (3, 2), (2, 1), (2, 2)]
    for event in found:
        assert event.measures["trial_error"] == pytest.approx(misses(event.genotype) / 12 + 1.5)


def test_others_take_the_places_of_those_that_keep_no_budget():
    work = Formula(least=4)
    found = run(Evolution(population=8, generations=3, children=4, parents=2), work)
    assert len(found) == 8 + 3 * 4
    assert min(misses(event.genotype) for event in found) == 4


def test_what_random_search_draws_in_place_of_those_that_keep_no_budget_depends_on_no_error():
    drawn, drawn_again = Formula(least=6), Formula(least=6, sign=-1)
    found = run(Evolution(population=24, generations=0), drawn)
    run(Evolution(population=24, generations=0), drawn_again)
    assert len(found) == 24
    assert len(drawn.asked) > 1
    assert drawn.asked == drawn_again.asked


def test_it_ends_with_the_last_architecture_of_a_small_space():
    found = run(Evolution(population=400, generations=2), Formula())
    assert len(found) > 200  # of 256, drawn at random a bounded number of times
    assert len({event.genotype for event in found}) == len(found)


def test_a_budget_that_nothing_keeps_is_a_sentence():
    with pytest.raises(InputError, match=r"architectures of 'toy' that were tried, none keeps the budget"):
        run(Evolution(population=4), Formula(least=100))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.safetensors"
    pixels = torch.randint(0, 256, (64, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    save_file({"images": pixels, "labels": torch.arange(64) % 4}, path)
    return path


def begin(folder: Path, images: Path, jobs: int) -> RunContext:
    plugins = load_plugins(quiet=True)
    layer = {
        "space": {"part": "nb201", "cells": 1, "channels": 4},
        "optimizer": {"part": "random", "samples": 2},
        "schedule": {"part": "keep"},
        "teacher": {"part": "labels"},
        "selector": {"part": "evolution", "population": 3, "generations": 1, "children": 2, "epochs": 1, "share": 0.25},
        "data": {"name": f"arrays:{images}", "validation": 0.2},
        "budget": {"params": [3000]},
        "retrain": {"auxiliary": 0.0, "epochs": 1, "batch_size": 8},
        "run": {"method": "random", "preset": "tiny", "threads": 1, "jobs": jobs, "device": "cpu"},
    }
    return start(folder, plugins, resolve(plugins, [layer]), [])


def carry_on(context: RunContext, until: str = "") -> None:
    """Searches, or until a phase has made a step."""
    reached: list[str] = []

    def on_event(event) -> None:
        if event["phase"] == until:
            reached.append(until)

    for _ in search(context, Journal(context.folder.events, on_event), lambda: bool(reached), on_event):
        pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory, images) -> RunContext:
    context = begin(tmp_path_factory.mktemp("runs") / "whole", images, jobs=1)
    carry_on(context)
    return context


@pytest.mark.slow
def test_a_run_records_its_trials_and_what_they_took(whole):
    events = list(read_events(whole.folder.events))
    assert [event["phase"] for event in events if event["event"] == "step" and event["step"] == 1] == [
        f"trial/{number}" for number in range(1, 6)
    ]
    found = [event for event in events if event["event"] == "found"]
    assert events[-5:] == found
    assert [event["trial_error"] for event in found] == sorted(event["trial_error"] for event in found)
    assert len(found_genotypes(whole)) == 5
    cost = whole.folder.done("search")["cost"]
    assert cost["seconds"] > 0
    assert cost["peak_memory_bytes"] > 0
    assert not whole.folder.phase("trial").exists()


@pytest.mark.slow
def test_trials_are_trained_without_the_share_on_which_they_are_judged(whole):
    share, trials = whole.shares()[SPLIT], whole.division(None, SPLIT)
    assert set(trials.validation) == set(share)
    assert set(trials.train) == set(whole.splits.train) - set(share)
    assert not set(trials.train) & set(whole.splits.validation)


@pytest.mark.slow
@pytest.mark.parametrize("until", ["trial/2", "trial/5"])
def test_a_search_that_was_stopped_ends_alike(whole, images, tmp_path, until):
    context = begin(tmp_path / "run", images, jobs=1)
    with pytest.raises(Stopped):
        carry_on(context, until)
    again = reopen_context(RunFolder.existing(context.folder.path), load_plugins(quiet=True))
    carry_on(again)
    assert again.folder.events.read_text() == whole.folder.events.read_text()


@pytest.mark.slow
def test_trials_in_parallel_end_alike(whole, images, tmp_path):
    context = begin(tmp_path / "run", images, jobs=2)
    carry_on(context)
    assert context.folder.events.read_text() == whole.folder.events.read_text()
