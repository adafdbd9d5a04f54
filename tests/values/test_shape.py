from __future__ import annotations

import pytest

from nasplug.values import ImageShape, MapShape, sides
from nasplug.values.shape import read_form, record_form


def test_a_signal_is_a_map_of_one_row():
    assert sides(5, dims=2) == (5, 5)
    assert sides(5, dims=1) == (1, 5)
    assert ImageShape(3, 32, 10).tensor_shape == (3, 32, 32)
    assert ImageShape(2, 40, 10, dims=1).tensor_shape == MapShape(2, 40, 1).tensor_shape == (2, 1, 40)
    assert [str(shape) for shape in (ImageShape(3, 32, 10), ImageShape(1, 40, 10, dims=1))] == ["3x32x32", "1x40"]


def test_files_say_nothing_of_images_of_bytes():
    assert record_form(2, "uint8") == {}
    for form in ((2, "uint8"), (1, "uint8"), (1, "float32")):
        assert read_form(record_form(*form)) == form


@pytest.mark.parametrize("entries", [{"dims": 3}, {"dims": "1"}, {"dtype": "float64"}, {"dtype": 1}])
def test_other_forms_are_refused(entries):
    with pytest.raises(ValueError, match="inputs of"):
        read_form(entries)
