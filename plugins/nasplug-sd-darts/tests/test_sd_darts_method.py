from __future__ import annotations

import pytest
from nasplug_sd_darts.method import SD_DARTS
from nasplug_sd_darts.voting import USUAL_EPOCHS, Voting

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts import Darts
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.values.darts import DARTS
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions, SelectOptions


def test_it_is_darts_with_a_teacher() -> None:
    assert (SD_DARTS.space, SD_DARTS.optimizer, SD_DARTS.schedule) == (DARTS.space, DARTS.optimizer, DARTS.schedule)
    assert (DARTS.teacher, SD_DARTS.teacher) == ("labels", "voting")
    assert SD_DARTS.options == DARTS.options
    first_order = {"paper-cifar10": "paper-cifar10-first"}
    for name, preset in SD_DARTS.presets.items():
        searched = {key: value for key, value in preset.items() if key != "teacher"}
        assert searched == DARTS.presets[first_order.get(name, name)]
        assert searched.get("optimizer", {}).get("order", "first") == "first"


@pytest.mark.parametrize("preset", sorted(SD_DARTS.presets))
def test_every_option_of_every_preset_is_known(preset: str) -> None:
    kinds: dict[str, type] = {
        "space": {"paper-nb201": NasBench201, "compact": Compact}.get(preset, Darts),
        "optimizer": Bilevel,
        "teacher": Voting,
        "search": SearchOptions,
        "retrain": RetrainOptions,
        "select": SelectOptions,
    }
    for name, kind in kinds.items():
        own = dict(SD_DARTS.presets[preset].get(name, {}))
        replaced = own.pop("part", SD_DARTS.space) != SD_DARTS.space
        build(kind, own if replaced else {**SD_DARTS.options.get(name, {}), **own}, name)


def test_the_papers_search_has_the_length_that_the_inferred_constants_are_for() -> None:
    assert SD_DARTS.presets[SD_DARTS.paper]["search"]["epochs"] == USUAL_EPOCHS
