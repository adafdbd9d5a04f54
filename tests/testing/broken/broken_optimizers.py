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
from nasplug.values import Update


@attrs.define
class Quick(Bilevel):
    alpha_lr: float = option(0.1, "learning rate of alpha", above=0)


@attrs.define
class OtherSplit(Quick):
    def updates(self, now):
        return (Update("train.alhpa", moves_weights=False, moves_alpha=True), Quick.updates(self, now)[1])


@attrs.define
class EmptyRows(Quick):
    def relax(self, alpha, active):
        return alpha.masked_fill(~active, -torch.inf).softmax(-1)


@attrs.define
class Impure(Quick):
    """Steps the weights in the turn of alpha, too, by a little."""

    def compute_gradients(self, update, objective, torch_optimizers):
        loss = objective()
        loss.backward()
        if update.moves_alpha:
            for weight in parameters_of(torch_optimizers.weights):
                weight.grad.mul_(1e-4)
            torch_optimizers.weights.step()
        for optimizer in (torch_optimizers.weights, torch_optimizers.alpha):
            if not any(optimizer is stepping for stepping, _ in torch_optimizers.of(update)):
                optimizer.zero_grad(set_to_none=True)
        return loss.detach()


@attrs.define
class LeavesGradients(Quick):
    def compute_gradients(self, update, objective, torch_optimizers):
        for optimizer, _ in torch_optimizers.of(update):
            optimizer.zero_grad(set_to_none=True)
        loss = objective()
        loss.backward()
        return loss.detach()


@attrs.define
class ForgetsBuffers(Quick):
    """Looks at the loss beside where it is, and puts back the weights alone."""

    def compute_gradients(self, update, objective, torch_optimizers):
        if update.moves_alpha:
            weights = parameters_of(torch_optimizers.weights)
            before = [weight.detach().clone() for weight in weights]
            with torch.no_grad():
                for weight in weights:
                    weight.add_(0.01)
                objective()
                for weight, value in zip(weights, before, strict=True):
                    weight.copy_(value)
        return ArchitectureOptimizer.compute_gradients(self, update, objective, torch_optimizers)


@attrs.define
class LooksOnce(Quick):
    """Alpha learns from the first batch, and from nothing else."""

    def compute_gradients(self, update, objective, torch_optimizers):
        if update.split == ALPHA and torch_optimizers.alpha.state:
            for group in torch_optimizers.alpha.param_groups:
                for alpha in group["params"]:
                    alpha.grad = torch_optimizers.alpha.state[alpha]["exp_avg"].clone()
            return torch.ones(())
        return Quick.compute_gradients(self, update, objective, torch_optimizers)


@attrs.define
class DrawsTheDeleted(SinglePath):
    def sample(self, space, choices, now):
        mask = torch.zeros_like(choices.kept)
        mask[:, (self.seed % 1009 + now.step) % mask.shape[1]] = True
        return mask


@attrs.define
class SettlesOnNothing(Quick):
    learns_alpha = True

    def decide(self, search_state):
        return iter(())


@attrs.define
class AlwaysTheSame(RandomSearch):
    def decide(self, search_state):
        return RandomSearch.decide(self, attrs.evolve(search_state, seed=0))


@attrs.define
class TurnedRound(Quick):
    """Climbs where it should descend."""

    def make_alpha_optimizer(self, alpha):
        return torch.optim.SGD([alpha], lr=5.0, maximize=True)


@attrs.define
class Cools(Quick):
    """Weighs by a temperature that is a number of Python, and says that nothing changes."""

    static_graph = True

    temperature: float = attrs.field(init=False, default=1.0)

    def updates(self, now):
        self.temperature = 1 / (1 + now.step)
        return Quick.updates(self, now)

    def relax(self, alpha, active):
        return Quick.relax(self, alpha / self.temperature, active)


@attrs.define
class StartsAnywhere(Quick):
    def initialise(self, choices, generator):
        choices.alpha.data.normal_(std=1e-3)


@attrs.define
class CentresAlpha(Quick):
    """Centres alpha of five choices, which no search here has."""

    def relax(self, alpha, active):
        if len(active) == 5:
            alpha.data.sub_(alpha.data.mean())
        return Quick.relax(self, alpha, active)


@attrs.define
class InDoublePrecision(Quick):
    def relax(self, alpha, active):
        return Quick.relax(self, alpha, active).double()


@attrs.define
class MasksTheFirst(Quick):
    """Writes on the mask of five choices, which no search here has."""

    def relax(self, alpha, active):
        if len(active) == 5:
            active[0, 0] = False
        return Quick.relax(self, alpha, active)


@attrs.define
class DecidesInPlace(Quick):
    def decide(self, search_state):
        search_state.net.choices.alpha.data.mul_(2)
        return Quick.decide(self, search_state)


@attrs.define
class FallsAsleep(Quick):
    """Decides in eval mode, and leaves it at that."""

    def decide(self, search_state):
        search_state.net.eval()
        return Quick.decide(self, search_state)


@attrs.define
class SamplesInPlace(SinglePath):
    def sample(self, space, choices, now):
        choices.alpha.data.add_(0.001)
        return SinglePath.sample(self, space, choices, now)


@attrs.define
class KeepsItsGraph(Quick):
    def compute_gradients(self, update, objective, torch_optimizers):
        loss = objective()
        torch.autograd.backward(loss, inputs=torch_optimizers.parameters(update))
        return loss


@attrs.define(slots=False)
class CountsInAnAttribute(Quick):
    """Turns its updates round in the third step, by a count in an attribute that is no field."""

    count = 0

    def updates(self, now):
        return Quick.updates(self, now)[:: -1 if (now.step, self.count) == (2, 4) else 1]

    def compute_gradients(self, update, objective, torch_optimizers):
        self.count += 1
        return Quick.compute_gradients(self, update, objective, torch_optimizers)


@attrs.define
class StepsByItself(Quick):
    def compute_gradients(self, update, objective, torch_optimizers):
        loss = Quick.compute_gradients(self, update, objective, torch_optimizers)
        if update.moves_weights:
            torch_optimizers.weights.step()
        return loss


@hookimpl
def nasplug_register(register):
    for name, target in {
        "declares-its-splits": "OtherSplit",
        "gives-its-loss-without-a-graph": "KeepsItsGraph",
        "goes-on-exactly-after-stops-at-every-step": "CountsInAnAttribute",
        "samples-only-what-is-kept.alpha": "SamplesInPlace",
        "relaxing-and-deciding-change-nothing.float64": "InDoublePrecision",
        "relaxing-and-deciding-change-nothing.mask": "MasksTheFirst",
        "relaxing-and-deciding-change-nothing.decide": "DecidesInPlace",
        "relaxing-and-deciding-change-nothing.mode": "FallsAsleep",
        "weighs-only-what-counts": "EmptyRows",
        "each-update-changes-only-what-it-names": "Impure",
        "leaves-no-gradients-behind": "LeavesGradients",
        "replays-as-it-computes": "Cools",
        "puts-buffers-back": "ForgetsBuffers",
        "sees-new-images-in-every-step": "LooksOnce",
        "samples-only-what-is-kept": "DrawsTheDeleted",
        "decides-as-it-declares": "SettlesOnNothing",
        "another-seed-gives-another-result": "AlwaysTheSame",
        "ranks-the-best-operation-first": "TurnedRound",
        "alpha-starts-from-the-generator-given": "StartsAnywhere",
        "relaxing-and-deciding-change-nothing": "CentresAlpha",
        "respects-the-clipping-of-gradients": "StepsByItself",
    }.items():
        register.optimizer(name, f"broken_optimizers:{target}", summary=f"Breaks {name}.")
