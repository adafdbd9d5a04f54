from __future__ import annotations

import json
import re

import pytest

from nasplug.report.flatness import describe_flatness, draw_flatness
from nasplug.report.page import render_report
from nasplug.report.run_record import read_run_record

FIGURES = {
    "sharpness": 0.0625,
    "alpha_eigenvalue": -0.25,
    "supernet_error": 0.05,
    "discrete_error": 0.125,
    "gap_error": 0.075,
    "gap_loss": 0.5,
}


@pytest.fixture
def recorded(tmp_path, result, write_run):
    """The record of a run whose search carries these figures in its last steps."""

    def written(*figures):
        run = write_run(tmp_path, result, steps=40)
        lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()[:-1]]
        steps = [line for line in lines if line["phase"] == "search" and line["event"] == "step"]
        for step, more in zip(steps[-len(figures) :], figures, strict=False):
            step.update(more)
        (run / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return read_run_record(run)

    return written


def test_the_last_values_are_told_in_the_summary(recorded):
    record = recorded(dict.fromkeys(FIGURES, 0.9), FIGURES)
    sentence = describe_flatness(record)
    assert (
        "its sharpness was 0.0625 and the dominant eigenvalue of the Hessian with respect to alpha -0.25; it put "
        "5.00 % of validation images into a wrong class, and 12.50 % once only the derived architecture was left of "
        "it: a discretisation gap of 7.50 percentage points."
    ) in sentence
    assert f"<p>{sentence}</p>" in render_report(record, {})


def test_the_course_is_drawn_where_there_is_one(recorded):
    record = recorded(dict.fromkeys(FIGURES, 0.9), FIGURES, FIGURES)
    svg = draw_flatness(record)
    assert "sharpness, alpha_eigenvalue, errors of the supernet and of its derived architecture over" in svg
    assert len(re.findall(r'id="flatness-axes_\d+"', svg)) == 3
    assert svg in render_report(record, {})


def test_a_single_measurement_is_told_and_not_drawn(recorded):
    record = recorded(FIGURES)
    assert "its sharpness was 0.0625" in describe_flatness(record)
    assert draw_flatness(record) is None


def test_a_search_without_alpha_has_its_sharpness_alone(recorded):
    record = recorded({"sharpness": 0.5}, {"sharpness": 0.25})
    assert "its sharpness was 0.25." in describe_flatness(record)
    assert len(re.findall(r'id="flatness-axes_\d+"', draw_flatness(record))) == 1


def test_a_search_that_was_not_measured_says_nothing(recorded):
    record = recorded({})
    assert describe_flatness(record) == ""
    assert "sharpness" not in render_report(record, {})
    assert draw_flatness(record) is None
