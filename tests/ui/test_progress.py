from __future__ import annotations

import io

import pytest
from rich.console import Console

from nasplug.ui.progress import show_progress
from nasplug.values import Progress


def output(states: list[Progress], terminal: bool) -> str:
    stream = io.StringIO()
    show_progress(states, Console(file=stream, force_terminal=terminal, width=120))
    return stream.getvalue()


def test_a_phase_of_unknown_length_does_not_print_a_line_for_every_step():
    states = [Progress("rating", count, 0, "paths rated") for count in range(1, 500)]
    assert output(states, terminal=False) == "rating 1: paths rated\n"


def test_the_last_step_of_a_phase_is_always_printed():
    states = [Progress("search", count, 3, f"loss {count}") for count in range(1, 4)]
    assert output(states, terminal=False) == "search 1/3: loss 1\nsearch 3/3: loss 3\n"


@pytest.mark.parametrize(("total", "count"), [(0, "7"), (9, "7/9")])
def test_bars_show_how_far_a_phase_has_come(total, count):
    text = output([Progress("rating", 7, total, "paths rated")], terminal=True)
    assert f" {count} " in text
    assert "paths rated" in text
