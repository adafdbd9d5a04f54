"""Amounts with units: how a budget such as 64KB or 2ms is read, and how a cost is printed."""

from __future__ import annotations

import math
import re

import attrs

from nasplug.errors import InputError, quote

_AMOUNT = re.compile(r"\s*(?P<number>\d[\d_,]*(?:\.\d+)?(?:[eE][+-]?\d{1,3})?|\.\d+)\s*(?P<suffix>[^\W\d_]*)\s*")
_LARGE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_SMALL = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3}


@attrs.frozen
class Unit:
    """The unit of a quantity: a prefix and the symbol of what is counted, such as "m" and "s" for milliseconds.

    Prefixes are decimal (k, M, G; n, u, m) or, with an i, binary (Ki, Mi, Gi). What is counted in whole numbers, such
    as parameters (no symbol) and bytes ("B"), has no parts, so that the small prefixes are refused.
    """

    symbol: str = ""
    prefix: str = ""
    whole: bool = False
    """Whether quantities are whole numbers."""

    def __attrs_post_init__(self) -> None:
        if self.prefix not in self._prefixes:
            raise InputError(f"A unit cannot have the prefix {quote(self.prefix)}; there are {', '.join(_LARGE)[2:]}.")

    def __str__(self) -> str:
        return self.prefix + self.symbol

    @property
    def _prefixes(self) -> dict[str, float]:
        return _LARGE if self.whole else _LARGE | _SMALL

    def parse(self, text: str) -> float:
        """The quantity in this unit that `text` names: a number, with a prefix, the symbol, or both behind it.

        A number alone is in this unit. Raises InputError for anything else, and for quantities that are not above 0.
        """
        found = _AMOUNT.fullmatch(text)
        factor = None if found is None else self._factor(found["suffix"])
        value = 0.0 if found is None or factor is None else float(re.sub("[_,]", "", found["number"])) * factor
        if not 0 < value < math.inf:
            raise InputError(
                f"{quote(text)} is no amount{f' in {self}' if str(self) else ''}; write a number above 0, such as "
                f"{', '.join(self._examples())}."
            )
        return value

    def format(self, value: float) -> str:
        """`value` for people: whole numbers in full, others with three significant digits and a fitting prefix."""
        if self.whole and not self.symbol:
            return f"{round(value):,}"
        amount = value * self._prefixes[self.prefix]
        usual = [prefix for prefix in ("n", "u", "m", "", "k", "M", "G") if prefix in self._prefixes]
        fitting = [prefix for prefix in usual if self._prefixes[prefix] <= abs(amount)]
        prefix = fitting[-1] if fitting else (self.prefix if amount == 0 else usual[0])
        scaled = amount / self._prefixes[prefix]
        digits = 0 if scaled >= 100 or (self.whole and not prefix) else 1 if scaled >= 10 else 2
        return f"{scaled:.{digits}f} {'K' if prefix == 'k' and self.symbol == 'B' else prefix}{self.symbol}"

    def _factor(self, suffix: str) -> float | None:
        """What to multiply a number with this suffix by; None for a suffix that means nothing here."""
        own = self._prefixes[self.prefix]
        if not suffix or suffix == str(self):
            return 1.0
        if self.symbol and suffix.lower().endswith(self.symbol.lower()):
            prefix = suffix[: -len(self.symbol)]
            return self._prefixes[prefix] / own if prefix in self._prefixes else None
        # A prefix without the symbol, as in 50k, is understood where no other unit could be meant.
        return _LARGE[suffix] / own if self.whole and suffix in _LARGE else None

    def _examples(self) -> tuple[str, ...]:
        if not self.whole:
            return (f"2{self}", f"0.5{self}")
        return (f"64K{self.symbol}", f"65536{self.symbol}") if self.symbol else ("50k", "50000")
