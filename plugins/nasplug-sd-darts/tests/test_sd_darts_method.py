from __future__ import annotations

import pytest
from nasplug_sd_darts.method import SD_DARTS
from nasplug_sd_darts.voting import USUAL_EPOCHS, Voting

from nasplug.builtin.methods import DARTS
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.values import Training
from nasplug.values.options import build
from nasplug.values.recipe import Retraining, Selection


def test_it_is_darts_with_a_teacher() -> None:
    assert (SD_DARTS.space, SD_DARTS.optimizer, SD_DARTS.schedule) == (DARTS.space, DARTS.optimizer, DARTS.schedule)
    assert (DARTS.teacher, SD_DARTS.teacher) == ("labels", "voting")
    assert SD_DARTS.options == DARTS.options
    for name, preset in DARTS.presets.items():
        assert {key: value for key, value in SD_DARTS.presets[name].items() if key != "teacher"} == preset


@pytest.mark.parametrize("preset", sorted(SD_DARTS.presets))
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "optimizer": Bilevel,
        "teacher": Voting,
        "search": Training,
        "retrain": Retraining,
        "select": Selection,
    }
    for name, kind in kinds.items():
        build(kind, {**SD_DARTS.options.get(name, {}), **SD_DARTS.presets[preset].get(name, {})}, name)


def test_the_papers_search_has_the_length_that_the_inferred_constants_are_for() -> None:
    assert SD_DARTS.presets[SD_DARTS.paper]["search"]["epochs"] == USUAL_EPOCHS
