"""The largest size at which a network keeps a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from nasplug.errors import InputError
from nasplug.parts import CostMeasure, CostModel, Measurement, Network, SearchSpace
from nasplug.values import Budget, Costs, Genotype, ImageShape, is_within, share_of
from nasplug.values.cost import COUNTED

MOST_CHANNELS = 1 << 14
DEEPER = 2
"""Cells that a network gets beyond those that it is meant for, at most."""
STEP = 16
"""The largest difference between two neighbouring widths of a space that are found."""
ATTEMPTS = 6
"""Sizes of one network that are measured, at most."""
MARGIN = 0.97
"""The share of a limit that a corrected estimate may take, once more for every attempt."""


@attrs.frozen(eq=False)
class SizedNetwork:
    """An architecture at one size."""

    size: Mapping[str, int | float | str]
    """As recorded with the network."""
    costs: Costs
    """As far as they are known without measuring the network; those that are summed over layers are estimates."""
    build: Callable[[], Network] = attrs.field(repr=False)
    """Makes the network, with initial weights."""
    estimated: frozenset[str] = frozenset()
    """The measures whose costs here were summed over layers, though a network of these layers may cost another sum."""


class Sizes(Protocol):
    """One architecture at all its sizes."""

    def largest_within(self, budget: Budget) -> SizedNetwork | None:
        """The largest size at which the costs, as far as they are known, keep the budget; None if there is none."""


@attrs.frozen(eq=False)
class MeasuredNetwork:
    """An architecture at one size, built and measured."""

    sized: SizedNetwork
    measurements: Mapping[str, Measurement]
    """By name, what was measured on the built network."""

    @property
    def costs(self) -> Costs:
        """All costs that are known, as measured where they were."""
        return Costs({**self.sized.costs, **{name: each.value for name, each in self.measurements.items()}})

    @property
    def details(self) -> dict[str, Mapping[str, Any]]:
        """By name, how it was measured, where there is something to say."""
        return {name: each.details for name, each in self.measurements.items() if each.details}


def measure_network(sized: SizedNetwork, measures: Mapping[str, CostMeasure], shape: ImageShape) -> MeasuredNetwork:
    """Builds a network and measures it, whole, by each of `measures`."""
    net = sized.build().eval()
    image = shape.tensor_shape
    return MeasuredNetwork(sized, {name: measure.measure(net, image) for name, measure in measures.items()})


def fit(sizes: Sizes, budget: Budget, measures: Mapping[str, CostMeasure], shape: ImageShape) -> MeasuredNetwork | None:
    """The network of the largest size that keeps the budget, as measured on the network itself; None if none does.

    Estimates propose a size. Where the built network costs more or less than was estimated, later estimates are
    corrected by the ratio of the two, with a growing margin.
    """
    measured = {name: measures[name] for name in budget if name not in COUNTED}
    limits, best, seen = dict(budget), None, set[tuple[tuple[str, object], ...]]()
    for attempt in range(1, ATTEMPTS + 1):
        sized = sizes.largest_within(limits)
        if sized is None:
            break
        key = tuple(sorted(sized.size.items()))
        if key in seen:
            break
        seen.add(key)
        network = measure_network(sized, measured, shape)
        if is_within(network.costs, budget) and (best is None or best.costs.macs < network.costs.macs):
            best = network
        for name, measurement in network.measurements.items():
            if measurement.value != sized.costs[name] and measurement.value > 0:
                limits[name] = budget[name] * sized.costs[name] / measurement.value * MARGIN**attempt
    return best


@attrs.frozen(eq=False)
class GenotypeSizes:
    """A genotype of a space at all sizes: as wide as a budget allows, at the depth that it is meant for or a bit more.

    Widths are steps, and the smaller a network, the larger is a step. Up to DEEPER cells more are taken where the
    network then takes a larger share of the budget, and fewer only where no width is left otherwise.
    """

    model: CostModel
    """At the size whose depth is preferred."""
    genotype: Genotype
    _models: dict[tuple[int, int | None], CostModel | None] = attrs.field(factory=dict, init=False)

    def largest_within(self, budget: Budget) -> SizedNetwork | None:
        """See `Sizes`."""
        cells = self.model.space.size().get("cells")
        if not isinstance(cells, int):
            return self._at_depth(budget, None)
        sized = [self._at_depth(budget, depth) for depth in range(cells, cells + DEEPER + 1)]
        fitting = [each for each in sized if each is not None]
        if fitting:
            return max(fitting, key=lambda each: share_of(each.costs, budget))
        shallower = (self._at_depth(budget, depth) for depth in range(cells - 1, 0, -1))
        return next((each for each in shallower if each is not None), None)

    def _at_depth(self, budget: Budget, cells: int | None) -> SizedNetwork | None:
        """The widest network within the budget; None if there is none."""
        model = self._at(self._widest(budget, cells), cells)
        return None if model is None else size_genotype(self._widened(model, budget), self.genotype, budget)

    def _widened(self, model: CostModel, budget: Budget) -> CostModel:
        """The widest within the budget that the space has before the next whole number of channels."""
        sizes = [model.space, *model.space.wider()]
        number = largest_number(
            lambda count: model.resized(sizes[count]).is_within(self.genotype, budget), len(sizes) - 1
        )
        return model.resized(sizes[number]) if number else model

    def _widest(self, budget: Budget, cells: int | None) -> int:
        """The largest number of channels within the budget; 0 if there is none."""

        def holds(channels: int) -> bool:
            valid = self._valid_width(channels, cells)
            return valid == 0 or self._is_within(budget, valid, cells)

        return self._valid_width(largest_number(holds, MOST_CHANNELS), cells)

    def _valid_width(self, channels: int, cells: int | None) -> int:
        """The largest number of channels, of at most STEP below `channels`, that the space can have; 0: none."""
        widths = range(channels, max(channels - STEP, 0), -1)
        return next((width for width in widths if self._at(width, cells) is not None), 0)

    def _is_within(self, budget: Budget, channels: int, cells: int | None) -> bool:
        model = self._at(channels, cells)
        return model is not None and model.is_within(self.genotype, budget)

    def _at(self, channels: int, cells: int | None) -> CostModel | None:
        """The cost model at a size; None if the space, or this genotype, cannot have it."""
        if channels == 0:
            return None
        if (channels, cells) not in self._models:
            try:
                space = self.model.space.scaled(channels=channels, cells=cells)
                space.check(self.genotype)
            except InputError:
                self._models[channels, cells] = None
            else:
                self._models[channels, cells] = self.model.resized(space)
        return self._models[channels, cells]


def size_genotype(model: CostModel, genotype: Genotype, names: Mapping[str, float]) -> SizedNetwork:
    """A genotype at the size of a cost model, with params, MACs and the costs in `names`."""
    space: SearchSpace = model.space
    estimated = frozenset(
        name for name in names if name in model.measures and model.measures[name].measured and model.knows_paths(name)
    )
    costs = model.costs(genotype, names)
    return SizedNetwork(space.size(), costs, lambda: space.network(genotype, model.shape), estimated)


def largest_number(holds: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` for which something holds that holds for all smaller ones; 0: for none."""
    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
