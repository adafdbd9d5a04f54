"""Architecture optimizers, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import attrs
import torch

from nasplug.builtin.optimizers.bilevel import ALPHA, Bilevel
from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.hookspecs import hookimpl
from nasplug.parts import option
from nasplug.parts.optimizer import ArchitectureOptimizer, parameters_of
from nasplug.values import Turn


@attrs.define
class Quick(Bilevel):
    alpha_lr: float = option(0.1, "learning rate of alpha", above=0)


@attrs.define
class OtherSplit(Quick):
    def turns(self, now):
        return (Turn("train.alhpa", moves_weights=False, moves_alpha=True), Quick.turns(self, now)[1])


@attrs.define
class EmptyRows(Quick):
    def relax(self, alpha, active):
        return alpha.masked_fill(~active, -torch.inf).softmax(-1)


@attrs.define
class Impure(Quick):
    """Steps the weights in the turn of alpha, too."""

    def descend(self, turn, objective, movers):
        loss = objective()
        loss.backward()
        for mover in (movers.weights, movers.alpha):
            mover.step() if turn.moves_alpha or mover is movers.weights else None
            mover.zero_grad(set_to_none=True)
        return loss.detach()


@attrs.define
class LeavesGradients(Quick):
    def descend(self, turn, objective, movers):
        moving = [mover for mover, _ in movers.of(turn)]
        for mover in moving:
            mover.zero_grad(set_to_none=True)
        loss = objective()
        loss.backward()
        for mover in moving:
            mover.step()
        return loss.detach()


@attrs.define
class ForgetsBuffers(Quick):
    """Looks at the loss beside where it is, and puts back the weights alone."""

    def descend(self, turn, objective, movers):
        if turn.moves_alpha:
            weights = parameters_of(movers.weights)
            before = [weight.detach().clone() for weight in weights]
            with torch.no_grad():
                for weight in weights:
                    weight.add_(0.01)
                objective()
                for weight, value in zip(weights, before, strict=True):
                    weight.copy_(value)
        return ArchitectureOptimizer.descend(self, turn, objective, movers)


@attrs.define
class LooksOnce(Quick):
    """Alpha learns from the first batch, and from nothing else."""

    def descend(self, turn, objective, movers):
        if turn.split == ALPHA and movers.alpha.state:
            for group in movers.alpha.param_groups:
                for alpha in group["params"]:
                    alpha.grad = movers.alpha.state[alpha]["exp_avg"].clone()
            movers.alpha.step()
            movers.alpha.zero_grad(set_to_none=True)
            return torch.ones(())
        return Quick.descend(self, turn, objective, movers)


@attrs.define
class DrawsTheDeleted(SinglePath):
    def sample(self, space, choices, now):
        mask = torch.zeros_like(choices.kept)
        mask[:, (self.seed % 1009 + now.step) % mask.shape[1]] = True
        return mask


@attrs.define
class SettlesOnNothing(Quick):
    learns_alpha = True

    def decide(self, searched):
        return iter(())


@attrs.define
class RatesAnew(SinglePath):
    """Forgets what was rated before it was interrupted."""

    def decide(self, searched):
        return SinglePath.decide(self, attrs.evolve(searched, rated=()))


@attrs.define
class AlwaysTheSame(RandomSearch):
    def decide(self, searched):
        return RandomSearch.decide(self, attrs.evolve(searched, seed=0))


@attrs.define
class TurnedRound(Quick):
    """Climbs where it should descend."""

    def alpha_mover(self, alpha):
        return torch.optim.SGD([alpha], lr=5.0, maximize=True)


@attrs.define
class Cools(Quick):
    """Weighs by a temperature that is a number of Python, and says that nothing changes."""

    temperature: float = attrs.field(init=False, default=1.0)

    def graph_key(self, now):
        return ()

    def turns(self, now):
        self.temperature = 1 / (1 + now.step)
        return Quick.turns(self, now)

    def relax(self, alpha, active):
        return Quick.relax(self, alpha / self.temperature, active)


@hookimpl
def nasplug_register(register):
    for name, target in {
        "declares-its-splits": "OtherSplit",
        "weighs-only-what-counts": "EmptyRows",
        "each-turn-moves-only-whom-it-names": "Impure",
        "leaves-no-gradients-behind": "LeavesGradients",
        "replays-as-it-computes": "Cools",
        "puts-buffers-back": "ForgetsBuffers",
        "sees-new-images-in-every-step": "LooksOnce",
        "samples-only-what-is-kept": "DrawsTheDeleted",
        "decides-as-it-declares": "SettlesOnNothing",
        "finishes-a-rating-that-was-interrupted": "RatesAnew",
        "another-seed-gives-another-result": "AlwaysTheSame",
        "ranks-the-best-operation-first": "TurnedRound",
    }.items():
        register.optimizer(name, f"broken_optimizers:{target}", summary=f"Breaks {name}.")
