from __future__ import annotations

import pytest

from nasplug.formats.fields import (
    FLAG,
    LARGEST,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    check_fields,
    list_of,
    object_of,
)
from nasplug.formats.limits import FormatError

NAN, INF = float("nan"), float("inf")
VALUES = (None, True, 0, 1, -1, LARGEST, LARGEST + 1, 0.5, 1.0, NAN, INF, "", "1", [], [1], {}, {"a": 1})


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        (TEXT, ("", "1")),
        (FLAG, (True,)),
        (WHOLE, (0, 1, LARGEST)),
        (NUMBER, (0, 1, -1, LARGEST, LARGEST + 1, 0.5, 1.0, NAN, INF)),
        (OBJECT, ({}, {"a": 1})),
        (list_of(WHOLE), ([], [1])),
        (list_of(TEXT), ([],)),
        (object_of(WHOLE), ({}, {"a": 1})),
        (object_of(TEXT), ({},)),
        (TEXT.or_null(), (None, "", "1")),
    ],
)
def test_a_kind_holds_its_values_and_no_others(kind, held):
    assert [repr(value) for value in VALUES if kind.holds(value)] == [repr(value) for value in held]


def test_fields_are_checked_by_name():
    assert check_fields({"a": 1, "other": []}, {"a": WHOLE}, {"b": TEXT}) == {"a": 1, "other": []}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (3, "it must be an object, but it is 3"),
        ({}, "it lacks 'a', which is a whole number from 0 on"),
        ({"a": "many"}, "'a' must be a whole number from 0 on, but it is 'many'"),
        ({"a": INF}, "'a' must be a whole number from 0 on, but it is inf"),
        ({"a": 1, "b": None}, "'b' must be text, but it is None"),
    ],
)
def test_fields_of_another_kind_are_named(entry, reason):
    with pytest.raises(FormatError, match=reason):
        check_fields(entry, {"a": WHOLE}, {"b": TEXT})
