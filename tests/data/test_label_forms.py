"""Names of classes that look wrong in form."""

from __future__ import annotations

import pytest

from nasplug.data.label_forms import note_label_forms


@pytest.mark.parametrize(
    "classes",
    [
        ("cat", "dog"),
        tuple(map(str, range(10))),
        ("10", "20", "50"),  # coins, say
        ("1999", "2001", "2010"),
        ("か", "が"),  # two letters
        ("v1.0", "v2.0"),
        ("+1", "-1"),
        ("tested", "trainer"),
        ("9" * 5000, "1"),
    ],
)
def test_ordinary_names_need_no_note(classes):
    assert note_label_forms(classes) == []


@pytest.mark.parametrize(
    "classes",
    [("Cat", "cat"), ("cat", "cat "), ("sea lion", "sea_lion"), ("café", "cafe"), ("ﬁg", "fig"), ("a  b", "a b")],
)
def test_one_class_under_two_spellings_is_said(classes):
    first, *_ = note_label_forms((*classes, "other"))
    assert first == (
        f"The classes {classes[0]!r} and {classes[1]!r} have nearly the same name; if they are one, give their images "
        f"one label."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Train", "like a split"),
        ("val", "like a split"),
        ("nan", "like a label that is missing"),
        ("Unknown", "like a label that is missing"),
        ("N/A", "like a label that is missing"),
        ("0001.JPG", "like a file"),
        (" dog", "with blanks at the beginning or the end"),
    ],
)
def test_a_name_that_is_none_of_a_class_is_said(name, words):
    (said,) = note_label_forms(("cat", name))
    assert said.startswith(f"The class {name!r} is ")
    assert words in said


def test_several_names_of_one_form_are_one_sentence():
    (said,) = note_label_forms(("a.png", "b.png", "c"))
    assert said == "The classes 'a.png', 'b.png' are called like a file."


def test_numbers_between_the_classes_that_are_missing_are_said():
    (said,) = note_label_forms(("0", "1", "2", "4", "6", "7"))
    assert said == "The classes are the numbers from 0 to 7 without 3, 5; are there images missing?"
