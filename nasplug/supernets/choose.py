"""`Choose`: the place in a module of one's own at which a search decides which module it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import InputError, quote, quote_all
from nasplug.parts import Choices
from nasplug.supernets.computed_weights import ComputedWeights

Inputs = tuple[Tensor, ...]
Rule = Callable[["Choose", Inputs], Tensor]
"""How the results of candidates become one."""


def take_mean(choose: Choose, inputs: Inputs) -> Tensor:
    """The mean of all candidates, which is what a supernet computes before it has learnt anything."""
    return torch.stack([candidate(*inputs) for candidate in choose.candidates.values()]).mean(0)


class Choose(nn.Module):
    """One of several modules, to be chosen by a search.

    All candidates take the same inputs and give tensors of the same shape. In a supernet it is their sum, weighted by
    the choice; in a stand-alone network the chosen module stands in its place. Outside of nasplug it is the mean of all
    candidates, so that a network with choices can be tried as it is.

    `candidates` are modules by name. `name` is the name of the choice; by default it is the path of this module in its
    network. Places of the same name choose alike.

    Raises InputError for anything but modules by name, and for names that no candidate can have.
    """

    def __init__(self, candidates: Mapping[str, nn.Module], name: str | None = None) -> None:
        super().__init__()
        if not isinstance(candidates, Mapping) or not candidates:
            raise InputError(
                f"Choose takes modules by name, such as Choose({{'conv': nn.Conv2d(8, 8, 1), 'skip': nn.Identity()}}), "
                f"but got {quote(candidates)}."
            )
        for key, module in candidates.items():
            if not isinstance(module, nn.Module):
                raise InputError(f"The candidate {quote(key)} is no module, but {quote(module)}; hand over a module.")
            if not isinstance(key, str) or not key or "." in key or hasattr(nn.ModuleDict, key):
                raise InputError(
                    f"No candidate can be called {quote(key)}: names are text without dots, and not those of "
                    f"torch's own, such as 'train' or 'keys'; choose another."
                )
        self.name = name
        self.candidates = nn.ModuleDict(dict(candidates))
        self.rule: Rule = take_mean

    def forward(self, *inputs: Tensor) -> Tensor:
        """The results of the candidates as one."""
        return self.rule(self, inputs)


class WeightedSum:
    """The rule of a supernet: the sum of the candidates that are computed, weighted by their row of `choices`.

    Where no candidate counts, the result is zeros. It is shared by all places of a supernet and no module, so that the
    supernet alone holds the choices.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self._present: ComputedWeights | None = None

    def __call__(self, choose: Choose, inputs: Inputs) -> Tensor:
        """What `choose` gives for these inputs."""
        weights = self._present or ComputedWeights.of(self.choices)
        row = self.choices.rows[str(choose.name)]
        names = self.choices.choices[row].candidates
        # Of a row in which nothing counts, any candidate that is left has the right shape, and a weight of 0.
        columns = weights.columns[row] or [names.index(next(iter(choose.candidates)))]
        terms = [choose.candidates[names[column]](*inputs) for column in columns]
        factors = weights.rows[row]
        total: Tensor = factors[columns[0]].to(terms[0].dtype) * terms[0]
        for column, term in zip(columns[1:], terms[1:], strict=True):
            total = total + factors[column].to(term.dtype) * term
        return total

    @contextmanager
    def computed_once(self) -> Iterator[None]:
        """Inside the block, all places use the weights of its beginning."""
        self._present = ComputedWeights.of(self.choices)
        try:
            yield
        finally:
            self._present = None


@attrs.frozen
class ChoicePlace:
    """One `Choose` in a module."""

    path: str
    """The path of the submodule."""
    name: str
    """The name of its choice."""
    choose: Choose
    parent: tuple[str, str] | None
    """The choice in one of whose candidates it lies, and that candidate."""


def find_choices(module: nn.Module) -> Sequence[ChoicePlace]:
    """Every `Choose` in a module, in the order of the modules, those inside candidates after those that hold them.

    Raises InputError where places of the same name have other candidates, or others around them.
    """
    found: dict[str, ChoicePlace] = {}
    named: dict[str, ChoicePlace] = {}
    paths: dict[Choose, str] = {}
    for path, choose in module.named_modules(remove_duplicate=False):
        if not isinstance(choose, Choose):
            continue
        outer = max((other for other in found if path.startswith(f"{other}.candidates.")), key=len, default=None)
        parent = None
        if outer is not None:
            parent = found[outer].name, path.removeprefix(f"{outer}.candidates.").partition(".")[0]
        # One module at several places chooses once; candidates are part of a path, but for the word.
        own = paths.setdefault(choose, path).replace(".candidates.", ".")
        place = found[path] = ChoicePlace(path, choose.name or own, choose, parent)
        first = named.setdefault(place.name, place)
        if (list(first.choose.candidates), first.parent) != (list(choose.candidates), parent):
            raise InputError(
                f"The choices at {quote(first.path)} and {quote(path)} are both called {quote(place.name)}, but differ "
                f"({quote_all(first.choose.candidates)}; {quote_all(choose.candidates)}); give both the same "
                f"candidates, in the same order and inside the same candidate, or other names."
            )
    return tuple(found.values())
