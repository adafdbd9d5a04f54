"""Training one path of a supernet at a time, then rating all (Guo et al., SPOS, ECCV 2020; Li et al., DNA, CVPR 2020).

Each step trains the weights of one architecture. After the training, the paths through each block, or through the
network where it has no blocks, are rated on images on which the weights were not trained, with batch norm statistics
measured for each path. The decision is exact: the Pareto front of all combinations of rated paths in summed rating and
params.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

import attrs
import torch
from torch import Tensor

from nasplug.builtin.optimizers.front_selection import price_paths, select_front
from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, Choices, SearchSpace, SearchState, option
from nasplug.supernets import PathRating
from nasplug.values import Found, Genotype, Rated, StepInfo, Training, Update
from nasplug.values.seeds import derive_seed

WEIGHTS, RATING = "train.weights", "train.rating"


@attrs.define
class SinglePath(ArchitectureOptimizer):
    """Weights learn one random path at a time; architectures are found by rating all paths of every block.

    Uniform sampling takes a random architecture of the space for every step. Fair sampling (Chu et al., FairNAS, ICCV
    2021) takes the candidates of each choice in rounds, each round in a random order: in as many steps as a choice has
    candidates, each of them is trained once. A choice within a candidate of another choice, such as a layer of a cell,
    takes its next candidate whenever that candidate has been trained.
    """

    static_graph = True

    learns_alpha = False

    sampling: str = option("uniform", "how the path of a step is sampled", choices=("uniform", "fair"))
    rating_share: float = option(0.2, "share of the training images that paths are rated on", above=0, below=1)
    rating_images: int = option(1024, "images of that share on which each path is rated, at most", at_least=1)
    rating_limit: int = option(
        10_000, "paths of a block that are rated, at most; a random sample if there are more", at_least=1
    )
    recalibration_images: int = option(
        256, "images of the weights' share on which the norms of each path are measured, at most", at_least=2
    )
    trail: int = option(100, "architectures kept of the Pareto front, evenly in log params; 0 keeps all", at_least=0)
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

    def check_limits(self, search_state: SearchState) -> None:
        """Raises InputError if the cheapest combination of the paths that will be rated breaks the limits."""
        if search_state.budgets:
            price_paths(
                search_state, {rater.block: self._paths(search_state, rater.block) for rater in search_state.raters}
            )

    def splits(self) -> Mapping[str, float]:
        """One share for the weights, one for the rating."""
        return {WEIGHTS: 1 - self.rating_share, RATING: self.rating_share}

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

    def decide(self, search_state: SearchState) -> Iterator[Found | Rated]:
        """Rates the paths without a rating, then combines paths; the combinations depend on the ratings alone.

        Raises InputError, before anything is rated, if no architecture keeps the limits.
        """
        paths = {rater.block: self._paths(search_state, rater.block) for rater in search_state.raters}
        choices, rated = price_paths(search_state, paths), list(search_state.rated)
        for new in self._rate(search_state, paths):
            rated.append(new)
            yield new
        yield from select_front(search_state, choices, rated, self.trail)

    def _paths(self, search_state: SearchState, block: int | None) -> tuple[Genotype, ...]:
        """The paths through a block that are rated."""
        generator = Random(derive_seed(search_state.seed, "paths", block))
        return tuple(search_state.space.paths(block).select(self.rating_limit, generator))

    def _rate(self, search_state: SearchState, paths: Mapping[int | None, Sequence[Genotype]]) -> Iterator[Rated]:
        """The ratings still missing, block by block."""
        done = {block: {rated.path for rated in search_state.rated if rated.block == block} for block in paths}
        raters = {
            rater.block: rater for rater in search_state.raters if not done[rater.block].issuperset(paths[rater.block])
        }
        if search_state.net is None or not raters:
            return
        calibration = list(search_state.images(WEIGHTS, self.recalibration_images))
        images = list(search_state.images(RATING, self.rating_images))
        for block, rater in raters.items():
            rating = PathRating(search_state.net, search_state.space, rater, calibration, images)
            yield from rating.rate(paths[block], done[block])

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
