"""What a network costs, and whether that is within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Self

from nasplug.values.quantity import Unit

Budget = Mapping[str, float]
"""The most that a network may cost: by name of a cost measure, in its unit."""
COUNTED: Mapping[str, Unit] = MappingProxyType({"params": Unit(whole=True), "macs": Unit(whole=True)})
"""The measures that every space counts by itself, with their units."""


class Costs(Mapping[str, float]):
    """What one network costs for one image: by name of a cost measure, in its unit. Immutable.

    Whatever a space counts has at least `params` and `macs`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float] | None = None, /, **named: float) -> None:
        self._values = {**(values or {}), **named}

    @property
    def params(self) -> int:
        """Parameters of the network as shipped, without an auxiliary head."""
        return int(self._values["params"])

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers, which many papers call FLOPs."""
        return int(self._values["macs"])

    @classmethod
    def total(cls, parts: Iterable[Mapping[str, float]]) -> Self:
        """The sum of costs that add up, measure by measure, in the order of `parts`."""
        totals: dict[str, float] = {"params": 0, "macs": 0}
        for part in parts:
            for name, value in part.items():
                totals[name] = totals.get(name, 0) + value
        return cls(totals)

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Costs({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


def describe_costs(costs: Mapping[str, float], units: Mapping[str, Unit]) -> str:
    """Costs, or limits on them, for messages: "20,000 params and 64 KB memory"."""
    texts = [f"{units[name].format(value)} {name}" for name, value in costs.items()]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def is_within(costs: Mapping[str, float], budget: Budget) -> bool:
    """Whether no cost exceeds its limit; a cost that is not known counts as one that does."""
    return all(name in costs and costs[name] <= limit for name, limit in budget.items())


def share_of(costs: Mapping[str, float], budget: Budget) -> float:
    """The largest share of any limit that `costs` takes up, 1 being all of it; 0 if there are no limits."""
    return max((costs[name] / limit for name, limit in budget.items()), default=0.0)
