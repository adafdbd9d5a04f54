from __future__ import annotations

import attrs
import pytest
import torch

from nasplug.data.class_names import check_class_names, printable
from nasplug.data.in_memory import to_image_data
from nasplug.errors import InputError

DATA = to_image_data((torch.zeros(4, 1, 4, 4, dtype=torch.uint8), [0, 1, 0, 1]))


@pytest.mark.parametrize("name", ["café", "犬", "two words", "non\u00a0breaking", "a/b"])
def test_names_of_any_language_are_taken(name):
    check_class_names(attrs.evolve(DATA, classes=("a", name)))
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("caf\udce9", "is not valid UTF-8"),
        ("a\nb", "holds control characters"),
        ("\x1b[31mred", "holds control characters"),
        ("a\u2028b", "holds control characters"),
        (" ", "is empty"),
    ],
)
def test_names_that_no_file_or_terminal_can_hold_are_refused(name, why):
    with pytest.raises(InputError, match=why) as refused:
        check_class_names(attrs.evolve(DATA, classes=("a", name)))
    assert str(refused.value).isprintable()
    assert printable(name).isprintable()
