from __future__ import annotations

import re

import numpy as np

from nasplug.report.charts import MOST, draw_figures
from nasplug.report.page import render_report
from nasplug.report.run_record import read_run_record
from nasplug.report.step_figures import average_points, read_step_figures, thin_points
from nasplug.values import Figure


def test_phases_come_in_the_order_of_the_run_without_the_broken_line(tmp_path, result, write_run):
    traces = read_step_figures(write_run(tmp_path, result, steps=120) / "events.jsonl")
    assert list(traces)[:3] == ["teacher", "search", f"retrain/{result['networks'][0]['id']}"]
    assert all(trace.steps == 120 for trace in traces.values())
    assert traces["search"].epochs == 10
    assert traces["search"].snapshots == [(60, "stall"), (120, "stall")]
    assert [name for name, trace in traces.items() if trace.undeclared_figures()] == ["search"]
    assert [figure.name for figure in traces["search"].undeclared_figures()] == ["S", "gamma", "mu", "alive"]


def test_of_the_figures_of_a_schedule_those_that_are_declared_are_drawn(tmp_path, result, write_run):
    record = read_run_record(write_run(tmp_path, result, steps=30))
    phase, figures = record.schedule_figures()
    assert phase is record.phases["search"]
    assert [(figure.name, figure.scale) for figure in figures] == [
        ("alive", "linear"),
        ("S", "linear"),
        ("gamma", "log"),
        ("mu", "linear"),
    ]
    svg = draw_figures(phase, figures)
    assert len(re.findall(r'id="shrinking-axes_\d+"', svg)) == 4
    assert "alive, S, gamma, mu over the steps of the search" in svg


def test_a_schedule_that_declares_no_figures_has_none_drawn(tmp_path, result, write_run):
    record = read_run_record(write_run(tmp_path, result | {"figures": []}, steps=30))
    assert record.schedule_figures() is None
    assert "S" not in record.phases["search"].columns
    assert "Shrinking" not in render_report(record, {})


def test_runs_that_recorded_no_figures_show_every_number_of_the_schedule(tmp_path, result, write_run):
    del result["figures"]
    _, figures = read_run_record(write_run(tmp_path, result, steps=30)).schedule_figures()
    assert figures == tuple(Figure(name, name) for name in ("S", "gamma", "mu", "alive"))


def test_of_flags_and_positions_no_figures_are_made(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(
        '{"event": "step", "phase": "search", "step": 1, "epoch": 0, "stage": 2, "stop": true, "gap_loss": 1}'
    )
    assert read_step_figures(path)["search"].undeclared_figures() == ()


def test_no_events_are_no_phases(tmp_path):
    assert read_step_figures(tmp_path / "events.jsonl") == {}


def test_values_that_are_no_numbers_are_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "step", "phase": "search", "step": 1, "loss": NaN}\n"half')
    assert read_step_figures(path)["search"].columns == {}


def test_long_curves_are_averaged_over_equal_shares():
    steps = np.arange(100_001, dtype=np.float64)
    shown = average_points((steps, 2 * steps), MOST)
    assert len(shown[0]) <= MOST
    np.testing.assert_allclose(shown[1], 2 * shown[0])
    assert shown[0][0] == steps[:501].mean()


def test_thinning_keeps_the_ends():
    steps = np.arange(5000, dtype=np.float64)
    shown, values = thin_points((steps, -steps), MOST)
    assert len(shown) == MOST
    assert (shown[0], shown[-1]) == (0, 4999)
    np.testing.assert_array_equal(values, -shown)
