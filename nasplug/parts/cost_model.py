"""What the genotypes of a space cost: counted, summed over layers, or measured on built networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from nasplug.parts.cost import CostMeasure
from nasplug.parts.layer_spec import LayerSpec
from nasplug.parts.space import SearchSpace
from nasplug.values import Budget, Costs, Genotype, ImageShape, Unit, describe_costs
from nasplug.values.cost import COUNTED

LayerCost = Callable[[CostMeasure, LayerSpec | None], float]
"""What a layer costs by a measure; None: what every network costs beside its layers."""


def measure_layer(measure: CostMeasure, layer: LayerSpec | None) -> float:
    """Builds a layer and measures it."""
    return measure.base_cost() if layer is None else measure.layer_cost(layer.build().eval(), layer.shape)


@attrs.frozen(eq=False)
class CostModel:
    """The costs of the networks of a space at its present size.

    Params and MACs are counted by the space. Other additive measures are summed over the layers of a network where the
    space lists them, which is an estimate for those that are measured on a device. All others need a built network.
    """

    space: SearchSpace
    shape: ImageShape
    measures: Mapping[str, CostMeasure] = attrs.field(factory=dict)
    """By name, the measures beside params and MACs."""
    layer_cost: LayerCost = measure_layer
    _known: dict[tuple[str, Genotype], float] = attrs.field(factory=dict, init=False)
    _layers: dict[tuple[str, LayerSpec | None], float] = attrs.field(factory=dict, kw_only=True)

    @property
    def names(self) -> tuple[str, ...]:
        """All measures, those that are quick to know first."""
        return (*COUNTED, *sorted(self.measures, key=lambda name: not self.knows_paths(name)))

    @property
    def units(self) -> Mapping[str, Unit]:
        """The units of all measures."""
        return {**COUNTED, **{name: measure.unit for name, measure in self.measures.items()}}

    def describe(self, costs: Mapping[str, float]) -> str:
        """Costs, or limits on them, for messages."""
        return describe_costs(costs, self.units)

    def resized(self, space: SearchSpace) -> CostModel:
        """The model of the same space at another size; what is known of layers is shared."""
        return CostModel(space, self.shape, self.measures, self.layer_cost, layers=self._layers)

    def costs(self, genotype: Genotype, names: Iterable[str] | None = None) -> Costs:
        """The costs of a genotype: params, MACs, and all other measures or those in `names` alone."""
        others = [name for name in (self.measures if names is None else names) if name not in COUNTED]
        self._learn(others, genotype)
        counted = self.space.cost(genotype, self.shape)
        return Costs({**counted, **{name: self._cost(name, genotype) for name in others}})

    def is_within(self, genotype: Genotype, budget: Budget) -> bool:
        """Whether a genotype keeps all limits; what takes a built network is asked only if the others keep theirs.

        Raises KeyError for a limit on a measure that the model does not have.
        """
        if unknown := set(budget) - {*COUNTED, *self.measures}:
            raise KeyError(*unknown)
        for known in (True, False):
            names = [name for name in budget if self.knows_paths(name) == known]
            costs = self.costs(genotype, names) if names else {}
            if any(costs[name] > budget[name] for name in names):
                return False
        return True

    def knows_paths(self, name: str) -> bool:
        """Whether a network costs, by this measure, the sum of what its layers cost, and the space lists them.

        Then it is known without building the network, and so is what a path through a block costs (`path_costs`).
        """
        return name in COUNTED or (self.measures[name].additive and self.space.lists_layers())

    def path_costs(
        self, block: int | None, path: Genotype, before: Genotype | None = None, names: Iterable[str] = ()
    ) -> Costs:
        """What one block with this path adds to params, MACs and the measures in `names`, which must know paths.

        `block` is None for the whole network. `before` is the path through the previous block, None for the first.
        What a network costs beside its layers is attributed to the first block.
        """
        if block is None:
            return self.costs(path, names)
        others = [name for name in names if name not in COUNTED]
        counted = self.space.path_cost(block, path, before, self.shape)
        layers: list[LayerSpec | None] = [None] if block == 0 else []
        if others:
            layers += self.space.path_layers(block, path, before, self.shape) or ()
        return Costs({**counted, **{name: self._sum(name, layers) for name in others}})

    def _cost(self, name: str, genotype: Genotype) -> float:
        self._learn((name,), genotype)
        return self._known[name, genotype]

    def _learn(self, names: Sequence[str], genotype: Genotype) -> None:
        """Finds out what is not known yet. All measures see the same network: what they read from it takes seconds."""
        unknown = [name for name in names if (name, genotype) not in self._known]
        summed = [name for name in unknown if self.measures[name].additive]
        layers = self.space.layer_list(genotype, self.shape) if summed else None
        if layers is not None:
            self._known.update({(name, genotype): self._sum(name, [None, *layers]) for name in summed})
            unknown = [name for name in unknown if name not in summed]
        if unknown:
            net = self.space.network(genotype, self.shape).eval()
            form = self.shape.tensor_shape
            self._known.update({(name, genotype): self.measures[name].cost(net, form) for name in unknown})

    def _sum(self, name: str, layers: Sequence[LayerSpec | None]) -> float:
        return sum(self._layer(name, layer) for layer in layers)

    def _layer(self, name: str, layer: LayerSpec | None) -> float:
        key = (name, layer)
        if key not in self._layers:
            self._layers[key] = self.layer_cost(self.measures[name], layer)
        return self._layers[key]
