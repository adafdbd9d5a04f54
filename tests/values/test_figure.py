from __future__ import annotations

import pytest

from nasplug.values import Figure


def test_a_figure_is_linear_and_without_unit_unless_it_says_otherwise():
    figure = Figure("S", "sparsity measure S")

    assert (figure.unit, figure.scale, figure.progress) == ("", "linear", None)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="scale"):
        Figure("S", "sparsity measure S", scale="root")
