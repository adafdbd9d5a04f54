"""Amounts as they are typed and printed."""

from __future__ import annotations

import pytest

from nasplug.errors import InputError
from nasplug.values import Unit

COUNT, BYTES = Unit(whole=True), Unit("B", whole=True)
MILLISECONDS, MICROJOULES = Unit("s", prefix="m"), Unit("J", prefix="u")


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (COUNT, "50000", 50_000),
        (COUNT, "50_000", 50_000),
        (COUNT, "50,000", 50_000),
        (COUNT, "50k", 50_000),
        (COUNT, "12.5M", 12_500_000),
        (BYTES, "64KB", 64_000),
        (BYTES, "64kB", 64_000),
        (BYTES, "64 KiB", 65_536),
        (BYTES, "64k", 64_000),
        (BYTES, "100", 100),
        (MILLISECONDS, "2", 2),
        (MILLISECONDS, "2ms", 2),
        (MILLISECONDS, "0.5 s", 500),
        (MILLISECONDS, "250us", 0.25),
        (MILLISECONDS, "250µs", 0.25),
        (MICROJOULES, "3mJ", 3000),
        (MICROJOULES, "1e2uJ", 100),
    ],
)
def test_an_amount_is_read_with_prefix_and_symbol(unit: Unit, text: str, value: float) -> None:
    assert unit.parse(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (COUNT, "50m"),  # a thousandth of a parameter, or a million?
        (COUNT, "50MB"),
        (COUNT, "0"),
        (COUNT, "-1"),
        (COUNT, "nan"),
        (COUNT, "inf"),
        (COUNT, "1e999"),
        (COUNT, "9" * 5000),
        (COUNT, ""),
        (BYTES, "2ms"),
        (MILLISECONDS, "64KB"),
        (MILLISECONDS, "2m"),
        (MILLISECONDS, "two"),
    ],
)
def test_anything_else_is_refused_with_examples(unit: Unit, text: str) -> None:
    with pytest.raises(InputError, match=r"is no amount.*such as") as caught:
        unit.parse(text)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (COUNT, 12_501_632, "12,501,632"),
        (BYTES, 196_608, "197 KB"),
        (BYTES, 100, "100 B"),
        (BYTES, 1_536, "1.54 KB"),
        (BYTES, 0, "0 B"),
        (MILLISECONDS, 0.219, "219 us"),
        (MILLISECONDS, 2.0, "2.00 ms"),
        (MILLISECONDS, 12_340, "12.3 s"),
        (MICROJOULES, 0.0, "0.00 uJ"),
    ],
)
def test_an_amount_is_printed_with_three_digits_and_a_fitting_prefix(unit: Unit, value: float, text: str) -> None:
    assert unit.format(value) == text


@pytest.mark.parametrize("unit", [COUNT, BYTES, MILLISECONDS, MICROJOULES])
@pytest.mark.parametrize("value", [1.0, 7.5, 999.0, 1000.0, 123_456.0, 5e9])
def test_what_is_printed_can_be_read(unit: Unit, value: float) -> None:
    assert unit.parse(unit.format(value)) == pytest.approx(value, rel=0.1 if value == 7.5 else 0.006)
