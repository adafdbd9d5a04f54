"""Which operations of an architecture have no parameters, found from its networks, whatever they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import suppress
from random import Random
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choices, LayerSpec, SearchSpace
from nasplug.values import Genotype, ImageShape

EXAMPLES = 3
"""Architectures in which is looked what a choice offers."""
TRIES = 50
"""Random architectures among which these are."""


class ParameterlessShare(NamedTuple):
    """How many of the operations that an architecture picks have no parameters, from 0 to 1."""

    share: float
    expected: float
    """What it would be if the same choices had picked uniformly at random."""


class Offer(NamedTuple):
    """What a choice offers."""

    parameterless: frozenset[int]
    """The columns of the candidates without parameters."""
    candidates: int
    """Those that genotypes hold."""

    @property
    def counts(self) -> bool:
        """Whether it offers candidates with and without parameters."""
        return 0 < len(self.parameterless) < self.candidates


@attrs.frozen(eq=False)
class ParameterlessOperations:
    """Finds the operations without parameters in the genotypes of a space, such as skip connections and pools.

    A candidate has none if the network with it has nothing that the same network lacks with any other candidate of the
    same choice in its place. Compared are the layers with parameters, or the shapes of parameters where the space does
    not list its layers. What is found of a choice is kept, so that it is looked for once; it is the same whatever
    genotype comes first.

    A choice counts only if it offers candidates of both kinds. One that other choices depend on is a choice of
    structure, such as a number of layers, and does not count.
    """

    space: SearchSpace
    shape: ImageShape
    _choices: Choices = attrs.field(init=False)
    _offers: dict[int, Offer] = attrs.field(factory=dict, init=False)
    """By row of the choices."""
    _layers: dict[LayerSpec, bool] = attrs.field(factory=dict, init=False)
    """Whether a layer has parameters."""

    @_choices.default
    def _make_choices(self) -> Choices:
        return Choices(self.space.choice_list())

    def share(self, genotype: Genotype) -> ParameterlessShare | None:
        """The share of operations without parameters among those that `genotype` holds of the choices that count.

        None if no choice counts. Layers are built, and their initial weights come from torch's global generator.
        """
        held = self.space.encode(genotype, self._choices)
        picked, parameterless, expected = 0, 0, 0.0
        structural = {choice.parent[0] for choice in self._choices if choice.parent is not None}
        for row in held.any(1).nonzero().flatten().tolist():
            if self._choices.choices[row].name in structural:
                continue
            if row not in self._offers:
                self._offers[row] = self._find_offer(row, held)
            offer = self._offers[row]
            if offer.counts:
                picks = held[row].nonzero().flatten().tolist()
                picked += len(picks)
                parameterless += sum(column in offer.parameterless for column in picks)
                expected += len(picks) * len(offer.parameterless) / offer.candidates
        return ParameterlessShare(parameterless / picked, expected / picked) if picked else None

    def _find_offer(self, row: int, held: Tensor) -> Offer:
        """What a choice offers: the most that it does in a few architectures, which are always the same.

        `held` is one in which it holds something, for a choice that hardly any has.
        """
        found = None
        for example in self._find_examples(row):
            offer = self._find_offer_in(row, example)
            if found is None or offer.candidates > found.candidates:
                found = offer
            if found.candidates == len(self._choices.choices[row].candidates):
                break  # no other can offer more
        return self._find_offer_in(row, held) if found is None else found

    def _find_examples(self, row: int) -> Iterator[Tensor]:
        """Architectures in which this choice holds something.

        That with everything, if the choice may hold several; else random ones, at most EXAMPLES.
        """
        if self._choices.choices[row].at_most is None:
            with torch.no_grad():
                dense = self.space.decode(self._choices, self._choices.weights())
            held = self.space.encode(dense, self._choices)
            if held[row].any():
                yield held
                return
        generator, found = Random(row), 0
        for _ in range(TRIES):
            held = self.space.encode(self.space.random(generator), self._choices)
            if held[row].any():
                yield held
                found += 1
            if found == EXAMPLES:
                return

    def _find_offer_in(self, row: int, held: Tensor) -> Offer:
        """What a choice offers in the network that `held` stands for.

        Candidates that no genotype holds, such as the `none` of DARTS, are not counted.
        """
        inside: dict[int, Counter[Hashable]] = {}
        for column in range(len(self._choices.choices[row].candidates)):
            only = held.clone()
            only[row] = torch.arange(held.shape[1]) == column
            with suppress(InputError), self._choices.only(only):  # not every combination need be a network
                genotype = self.space.decode(self._choices, only.float())
                if torch.equal(self.space.encode(genotype, self._choices), only):
                    inside[column] = self._count(genotype)
        none = (column for column, own in inside.items() if all(own <= other for other in inside.values()))
        return Offer(frozenset(none), len(inside))

    def _count(self, genotype: Genotype) -> Counter[Hashable]:
        """What has parameters in the network of a genotype."""
        layers = self.space.layer_list(genotype, self.shape)
        if layers is None:
            return Counter(tuple(weight.shape) for weight in self.space.network(genotype, self.shape).parameters())
        return Counter(layer for layer in layers if self._has_parameters(layer))

    def _has_parameters(self, layer: LayerSpec) -> bool:
        if layer not in self._layers:
            self._layers[layer] = any(True for _ in layer.build().parameters())
        return self._layers[layer]
