"""Candidates of a tournament that start from the supernet's weights."""

from __future__ import annotations

import pytest
import torch

from nasplug.compose import resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.report.tournament import describe_tournament
from nasplug.runs.bracket import Bracket, read_brackets
from nasplug.runs.create import start
from nasplug.runs.retrain import make_network_trainer
from nasplug.runs.search import search
from nasplug.runs.search_trainer import load_supernet
from nasplug.runs.shared_weights import initial_weights
from nasplug.runs.summary import write_result
from nasplug.runs.tournament import enter_candidates
from nasplug.store.events import ignore_event
from nasplug.store.networks import build_network
from nasplug.store.result import read_result
from nasplug.values import Progress

PLUGINS = load_plugins()


def begin(folder, options, budget):
    """A run of `dna`'s optimizer on the digits, up to the end of a short search."""
    layer = {
        "space": {"part": "compact", "stages": ["s1 2x4", "s2 2x8"], "multipliers": [0.5, 1.0], "channels": 16},
        "teacher": {"part": "labels"},
        "run": {"method": "dna", "preset": "tiny", "threads": 1, "jobs": 1, "device": "cpu"},
        "selector": {"limit": 20},
        "search": {"epochs": 1},
        "select": {"networks": 1, "random": 1, "candidates": 3, "measures": [], "references": [], **options},
        "budget": {"params": budget},
        "retrain": {"epochs": 4},
    }
    context = start(folder, PLUGINS, resolve(PLUGINS, [layer]), [])
    for _ in search(context, context.journal(context.folder.events, ignore_event), lambda: False):
        pass
    return context


def plan(context) -> list[Bracket]:
    steps = enter_candidates(context, lambda: False)
    while True:
        try:
            assert isinstance(next(steps), Progress)
        except StopIteration as end:
            return end.value


def test_candidates_start_from_the_supernet_as_far_as_it_holds_them(tmp_path):
    context = begin(tmp_path / "run", {"share_weights": True}, 1500)
    brackets = plan(context)
    assert read_brackets(context.folder) == brackets
    supernet = load_supernet(context)
    shared = supernet.state_dict()["stem.convolution.weight"]
    tasks = [task for bracket in brackets for task in bracket.next_tasks(context.folder)]
    assert {task.shares_weights for task in tasks} == {False, True}  # some are wider than the supernet
    for task in tasks:
        network = build_network(PLUGINS, context.composition.space, task.plan, context.shape)
        weights = supernet.path_weights(task.plan.genotype, network)
        assert bool(weights) == task.shares_weights == type(task).from_dict(task.to_dict()).shares_weights
        if weights:
            assert {name: weight.tolist() for name, weight in initial_weights(context, task.plan).items()} == {
                name: weight.tolist() for name, weight in weights.items()
            }
            arguments = (
                context,
                task.phase,
                context.composition.space,
                task.plan,
                context.recipe.retrain,
                context.splits,
            )
            own = make_network_trainer(*arguments, weights=weights).net.state_dict()["stem.convolution.weight"]
            new = make_network_trainer(*arguments).net.state_dict()["stem.convolution.weight"]
            assert torch.equal(own, shared[: len(own)])
            assert not torch.equal(own, new)


def test_the_report_says_how_many_do(tmp_path):
    context = begin(tmp_path / "run", {"share_weights": True}, 1500)
    brackets = plan(context)
    counts = [sum(each.shares_weights for each in bracket.candidates) for bracket in brackets]
    for task in (task for bracket in brackets for task in bracket.next_tasks(context.folder)):
        cost = {"seconds": 1.0, "peak_memory_bytes": 0, "device": "cpu"}
        context.folder.finish(task.phase, {"val_error": 0.5, "train_loss": 1.0, "cost": cost})
    write_result(context, "running", [])
    result = read_result(context.folder.path)
    assert [bracket.sharing for bracket in result.tournament] == counts
    for count, sentence in zip(counts, describe_tournament(result), strict=True):
        assert (f"{count} of them from weights of the supernet" in sentence) == (count > 0)


def test_it_is_off_by_default(tmp_path):
    brackets = plan(begin(tmp_path / "run", {}, 1500))
    assert not any(each.shares_weights for bracket in brackets for each in bracket.candidates)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ({"select": {"share_weights": True}}, "there is none with candidates=0"),
        (
            {"optimizer": {"part": "random"}, "select": {"share_weights": True, "candidates": 8}},
            "the optimizer 'random' trains none",
        ),
    ],
)
def test_it_is_refused_without_a_tournament_or_without_a_supernet(tmp_path, layer, sentence):
    run = {"method": "darts", "preset": "tiny", "threads": 1, "jobs": 1, "device": "cpu"}
    with pytest.raises(InputError, match=sentence):
        start(tmp_path / "run", PLUGINS, resolve(PLUGINS, [{"run": run, **layer}]), [])
    assert not (tmp_path / "run").exists()
