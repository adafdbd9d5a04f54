"""A search whose parts bring NaN or infinity into alpha breaks with a sentence, although every loss was finite."""

from __future__ import annotations

import json

import attrs
import pytest
import torch

import nasplug
from nasplug.engine.plain.keep import Keep
from nasplug.errors import RunFailure
from nasplug.values import Verdict

SPACE = {"part": "darts", "cells": 2, "nodes": 1, "channels": 2, "operations": ("nadd3",)}


@attrs.define
class Spoils(Keep):
    """Puts `value` into alpha after the last step, of which no loss tells any more."""

    value: str = "nan"
    at: int = -1

    def after_step(self, choices, now):
        if now.step - now.steps == self.at:
            with torch.no_grad():
                choices.alpha[0, 0] = float(self.value)
        return Verdict()


@pytest.mark.parametrize(("value", "at"), [("nan", -1), ("inf", -1), ("-inf", -1)])
@pytest.mark.parametrize("measure_every", [0, 1])
def test_alpha_that_is_not_finite(few_images, tmp_path, value, at, measure_every):
    search = nasplug.search(
        method="darts",
        preset="tiny",
        space=SPACE,
        schedule=Spoils(value, at),
        data={"name": f"arrays:{few_images}", "validation": 0.0},
        search={"epochs": 1, "batch_size": 16},
        run={"jobs": 1, "threads": 1, "measure_every": measure_every},
        out=tmp_path / "run",
    )
    with pytest.raises(
        RunFailure, match=r"alpha.*NaN or infinity.*the optimizer 'bilevel' and the schedule '.*Spoils'"
    ):
        search.result()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "failed"
    assert not (tmp_path / "run" / "phases" / "search" / "checkpoint.safetensors").exists()
