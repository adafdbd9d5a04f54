from __future__ import annotations

from nasplug_dnad.features import Features
from nasplug_dnad.method import DNAD
from nasplug_snps.method import SNPS

from nasplug.values.options import build


def test_it_is_snps_with_a_teacher() -> None:
    assert (DNAD.space, DNAD.optimizer, DNAD.schedule, DNAD.options) == (
        SNPS.space,
        SNPS.optimizer,
        SNPS.schedule,
        SNPS.options,
    )
    assert DNAD.teacher == "features"
    for name, preset in SNPS.presets.items():
        teacher = DNAD.presets[name]["teacher"]
        assert DNAD.presets[name] == {**preset, "teacher": teacher}
        build(Features, teacher, "teacher")


def test_the_papers_teacher_has_36_channels() -> None:
    paper = DNAD.presets[DNAD.paper]
    assert paper["space"]["channels"] * paper["teacher"]["channel_factor"] == 36
