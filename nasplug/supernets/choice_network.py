"""The networks of a `ChoiceSpace`: any module from images to logits, as a stand-alone network and as a supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.parts import Block, Choices, Layer, Network, Outputs, Supernet
from nasplug.supernets.choose import WeightedSum, find_choices
from nasplug.supernets.outline import Outline, Piece
from nasplug.supernets.path_weights import take_path_weights
from nasplug.values import Genotype


class Several(nn.Module):
    """The sum of several candidates of one choice."""

    def __init__(self, candidates: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.candidates = nn.ModuleDict(dict(candidates))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The sum of their results."""
        first, *others = (candidate(*inputs) for candidate in self.candidates.values())
        total: Tensor = sum(others, start=first)
        return total


class ChoiceNetwork(Network):
    """`net`, with its taps, dropout and drop path.

    Taps are what the modules at the paths `taps` give. `dropout` zeroes inputs of the module at the path `classifier`.
    `drop_path` drops the results of the modules in `picked`, image by image, but those of `nn.Identity`.
    """

    def __init__(self, net: nn.Module, taps: Sequence[str], classifier: str, picked: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.net = net
        self._taps, self._classifier = tuple(taps), classifier
        distinct = dict.fromkeys(picked)  # a module may stand at several places
        self._picked = tuple(module for module in distinct if not isinstance(module, nn.Identity))

    def forward(self, images: Tensor) -> Tensor:
        """The logits (N, classes); in evaluation nothing but `net` computes, so that other programs can read it."""
        if self.training:
            return super().forward(images)
        logits: Tensor = self.net(images)
        return logits

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and what the tapped modules give."""
        taps: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for path in self._taps:
                hooks.callback(self.net.get_submodule(path).register_forward_hook(_Tap(path, taps)).remove)
            if self.training and self.dropout > 0:
                classifier = self.net.get_submodule(self._classifier)
                hooks.callback(classifier.register_forward_pre_hook(_DropInputs(self.dropout)).remove)
            if self.training and self.drop_path > 0:
                for module in self._picked:
                    hooks.callback(module.register_forward_hook(_DropResult(self.drop_path)).remove)
            logits = self.net(images)
        return Outputs(logits, tuple(taps[path] for path in self._taps))


class ChoiceSupernet(ChoiceNetwork, Supernet):
    """`net` with all candidates of each `Choose`, weighted by `choices`; only those that count are computed.

    Batch norms are those of `net`. A block is the pieces of the network (see `Outline`) up to the last with choices of
    that block; there is one block, the whole network, where there are no such pieces.
    """

    def __init__(self, net: nn.Module, choices: Choices, outline: Outline, taps: Sequence[str]) -> None:
        super().__init__(net, taps, outline.classifier)
        self.choices = choices
        self._pieces = outline.pieces
        self._rule = WeightedSum(choices)
        self._places = {place.path: place for place in find_choices(net)}
        for place in self._places.values():
            place.choose.rule = self._rule

    def forward(self, images: Tensor) -> Tensor:
        """The logits (N, classes)."""
        return self.outputs(images).logits

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and what the tapped modules give."""
        with self._rule.computed_once():
            return super().outputs(images)

    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
        self.choices.refresh()
        kept = {
            choice.name: {name for name, stays in zip(choice.candidates, row, strict=False) if stays}
            for choice, row in zip(self.choices, self.choices.kept.tolist(), strict=True)
        }
        for place in self._places.values():
            for candidate in set(place.choose.candidates) - kept[place.name]:
                del place.choose.candidates[candidate]

    def path_weights(self, genotype: Genotype, network: Network) -> Mapping[str, Tensor]:
        """Those of the candidates on the path, for a network of the supernet's size."""
        picks, places = dict(genotype.picks), {f"net.{path}": place for path, place in self._places.items()}

        def find(name: str) -> str:
            path = ""
            for part in name.split("."):
                path = f"{path}.{part}" if path else part
                while path in places and len(picked := picks.get(places[path].name, ())) == 1:
                    path = f"{path}.candidates.{picked[0]}"
            return path

        return take_path_weights(self, network, find)

    def blocks(self) -> Sequence[Block]:
        """The blocks that the choices name, where the network has pieces for them; else the whole network."""
        numbers = {choice.name: choice.blocks for choice in self.choices}
        if not self._pieces or any(len(blocks) > 1 for blocks in numbers.values()):
            return (self.whole(),)
        groups: list[list[Piece]] = [[]]
        last = -1
        for piece in self._pieces:
            if piece.names and numbers[piece.names[0]][0] != last:
                if last >= 0:
                    groups.append([])
                last = numbers[piece.names[0]][0]
            groups[-1].append(piece)
        before = [None, *(group[-1].output for group in groups)]
        return tuple(self._view(group, given) for group, given in zip(groups, before, strict=False))

    def _view(self, pieces: Sequence[Piece], given: Any) -> Block:
        paths = [step for piece in pieces for step in piece.steps]
        return Block(
            inputs=() if given is None else (given,),
            output=pieces[-1].output,
            enter=lambda maps: maps[0],
            layers=tuple(
                Layer(self._rows_inside(path), module, module)
                for path, module in ((path, self.net.get_submodule(path)) for path in paths)
            ),
            leave=lambda maps: maps,
            modules=tuple(self.net.get_submodule(piece.path) for piece in pieces),
        )

    def _rows_inside(self, path: str) -> tuple[int, ...]:
        names = {place.name for place in self._places.values() if f"{place.path}.".startswith(f"{path}.")}
        return tuple(sorted(self.choices.rows[name] for name in names))


@attrs.frozen
class _Tap:
    """A hook that keeps what a module gives, the last time if it computes several times."""

    path: str
    kept: dict[str, Tensor]

    def __call__(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.kept[self.path] = output


@attrs.frozen
class _DropInputs:
    """A hook that zeroes single inputs of a module with this probability, and scales the others to keep the mean."""

    probability: float

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(F.dropout(x, self.probability) for x in inputs)


@attrs.frozen
class _DropResult:
    """A hook that zeroes the whole result of a module for single images, and scales the others to keep the mean."""

    probability: float

    def __call__(self, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        keep = 1.0 - self.probability
        mask = output.new_empty(output.shape[0], *[1] * (output.dim() - 1)).bernoulli_(keep)
        return output * (mask / keep)
