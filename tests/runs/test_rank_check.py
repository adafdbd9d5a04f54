"""What several processes cannot do together is one sentence before anything is written."""

from __future__ import annotations

import attrs
import pytest
import torch

from nasplug.compose import resolve
from nasplug.engine.ranks import ALONE
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.rank_check import check_ranks
from tests.rank_processes import ranks

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def recipe():
    return resolve(load_plugins(), [{"run": {"method": "darts", "preset": "tiny", "sync_norms": True}}])


@pytest.fixture
def torchrun(monkeypatch):
    named = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "3", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "3"}
    for name, value in named.items():
        monkeypatch.setenv(name, value)


def test_batch_norms_are_as_the_recipe_says(recipe):
    assert check_ranks(ranks(1, 2, sync_norms=False), recipe, CPU) == ranks(1, 2, sync_norms=True)
    assert check_ranks(ALONE, recipe, CPU) == ALONE


def test_a_training_is_spread_or_beside_others(recipe, torchrun):
    recipe = attrs.evolve(recipe, run=attrs.evolve(recipe.run, jobs=2))
    with pytest.raises(InputError, match=r"run.jobs=2 trains networks beside one another, and torchrun .*--jobs 1"):
        check_ranks(ranks(0, 3), recipe, CPU)
    assert resolve_recipe(load_plugins(), []).run.jobs == 1  # unless asked for


def test_fewer_images_than_ranks(recipe):
    recipe = attrs.evolve(recipe, retrain=attrs.evolve(recipe.retrain, batch_size=5))
    with pytest.raises(InputError, match=r"retrain.batch_size=5 cannot be divided among 3 processes"):
        check_ranks(ranks(0, 3), recipe, CPU)


def test_every_rank_needs_a_device_of_its_own(recipe, torchrun, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"Each of the 3 processes .* of which there are 2"):
        check_ranks(ranks(0, 3), recipe, GPU)


def test_what_is_for_one_process_says_so(recipe, torchrun):
    with pytest.raises(InputError, match=r"torchrun has started 3 processes, and this is for one"):
        check_ranks(ALONE, recipe, CPU)
