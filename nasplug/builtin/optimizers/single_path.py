"""Training one path of a supernet at a time (Guo et al., SPOS, ECCV 2020; Li et al., DNA, CVPR 2020).

Each step trains the weights of one architecture. Which architectures are the best is the selector's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, Choices, SearchSpace, option
from nasplug.values import StepInfo, Training, Update
from nasplug.values.seeds import derive_seed

WEIGHTS = "train.weights"


@attrs.define
class SinglePath(ArchitectureOptimizer):
    """Weights learn one random path at a time, and alpha nothing.

    Uniform sampling takes a random architecture of the space for every step. Fair sampling (Chu et al., FairNAS, ICCV
    2021) takes the candidates of each choice in rounds, each round in a random order: in as many steps as a choice has
    candidates, each of them is trained once. A choice within a candidate of another choice, such as a layer of a cell,
    takes its next candidate whenever that candidate has been trained.
    """

    static_graph = True

    learns_alpha = False
    decides = False
    selector = "rating"
    moved_options = MappingProxyType(
        {
            "rating_share": "share",
            "rating_images": "images",
            "rating_limit": "limit",
            "recalibration_images": "recalibration_images",
            "trail": "trail",
        }
    )

    sampling: str = option("uniform", "how the path of a step is sampled", choices=("uniform", "fair"))
    seed: int = attrs.field(init=False, default=0)

    def check(self, space: SearchSpace, training: Training) -> None:
        """Raises InputError for fair sampling where a genotype may hold several candidates of one choice."""
        wide = next((choice for choice in space.choice_list() if choice.at_most != 1), None)
        if self.sampling == "fair" and wide is not None:
            held = "any number" if wide.at_most is None else f"up to {wide.at_most}"
            raise InputError(
                f"Fair sampling trains one candidate of each choice at a time, but genotypes of the space "
                f"'{space.name}' hold {held} of the choice '{wide.name}'; set optimizer.sampling=uniform, or take a "
                f"space that picks one candidate everywhere, such as mbconv or nb201."
            )

    def splits(self) -> Mapping[str, float]:
        """One share, for the weights."""
        return {WEIGHTS: 1.0}

    def initialise(self, choices: Choices, generator: torch.Generator) -> None:
        """Samples the seed of all paths; alpha is not used."""
        self.seed = int(torch.randint(2**62, (), generator=generator))

    def relax(self, alpha: Tensor, active: Tensor) -> Tensor:
        """1 for every active candidate, as in a stand-alone network."""
        return active.to(alpha.dtype)

    def sample(self, space: SearchSpace, choices: Choices, now: StepInfo) -> Tensor:
        """The path of this step, without deleted candidates, as a function of the seed and the step."""
        if self.sampling == "fair":
            return _mask(choices, [self._fair_candidate(choices, row, now)[0] for row in range(len(choices))])
        generator = Random(derive_seed(self.seed, "path", now.stage, now.step))
        sampled = space.encode(space.random(generator), choices).tolist()
        return _mask(choices, _active_columns(choices, sampled, generator))

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """The weights, on their share of the images."""
        return (Update(WEIGHTS, moves_weights=True, moves_alpha=False),)

    def _fair_candidate(self, choices: Choices, row: int, now: StepInfo) -> tuple[tuple[int, ...], int]:
        """The candidate of a choice in this step of fair sampling (none without active ones), and its round."""
        kept, choice = choices.active_columns[row], choices.choices[row]
        # A candidate is trained once in each round of its choice, so its round counts the steps of a choice within it.
        if choice.parent is None:
            step = now.step
        else:
            _, step = self._fair_candidate(choices, choices.rows[choice.parent[0]], now)
        if not kept:
            return (), step
        number, position = divmod(step, len(kept))
        order = Random(derive_seed(self.seed, "round", now.stage, choice.name, number))
        return (order.sample(kept, len(kept))[position],), number


def _active_columns(choices: Choices, sampled: Sequence[Sequence[bool]], generator: Random) -> list[tuple[int, ...]]:
    """The active candidates among the sampled ones, row by row.

    A choice of which all sampled candidates are deleted gets a random active candidate, and so do the choices within
    that candidate.
    """
    columns: list[tuple[int, ...]] = []
    for row, (choice, kept) in enumerate(zip(choices, choices.active_columns, strict=True)):
        active = tuple(column for column in kept if sampled[row][column])
        required = any(sampled[row])
        if choice.parent is not None:
            above, candidate = choices.rows[choice.parent[0]], choice.parent[1]
            column = choices.choices[above].candidates.index(candidate)
            required |= column in columns[above] and not sampled[above][column]
        columns.append((generator.choice(kept),) if required and kept and not active else active)
    return columns


def _mask(choices: Choices, columns: Sequence[Sequence[int]]) -> Tensor:
    width = choices.valid_mask.shape[1]
    return torch.tensor([[column in row for column in range(width)] for row in columns], dtype=torch.bool)
