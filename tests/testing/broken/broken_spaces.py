"""Search spaces, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import random
import re
from random import Random

import attrs
import torch

from nasplug.errors import InputError
from nasplug.hookspecs import hookimpl
from nasplug.parts import Choices, Paths, option
from nasplug.testing.toy import Toy
from nasplug.testing.toy.networks import OPERATIONS, ToyNetwork, ToySupernet
from nasplug.values import Costs, Drawing, Edge, Genotype


@attrs.define
class Misnamed(Toy):
    """Draws genotypes of a space that it is not, and takes them for its own."""

    def random(self, generator):
        return attrs.evolve(Toy.random(self, generator), space="toys")

    def mutate(self, genotype, generator):
        return attrs.evolve(Toy.mutate(self, genotype, generator), space="toys")

    def decode(self, choices, weights):
        return attrs.evolve(Toy.decode(self, choices, weights), space="toys")

    def paths(self, block):
        return named(Toy.paths(self, block), "toys")

    def parse(self, text):
        return attrs.evolve(Toy.parse(self, text.replace('"toys"', '"toy"')), space="toys")

    def check(self, genotype):
        if genotype.space not in ("toys", "toy"):
            raise InputError("Not a toy.")
        Toy.check(self, attrs.evolve(genotype, space="toy"))


def named(paths: Paths, space: str) -> Paths:
    every = [attrs.evolve(path, space=space) for path in paths.enumerate()]
    return Paths(paths.count, lambda: every, lambda generator: generator.choice(every))


@attrs.define
class ParsesTheFirst(Toy):
    def parse(self, text):
        parsed = Toy.parse(self, text)
        return attrs.evolve(parsed, picks=[(place, parsed.picks[0][1]) for place in parsed.places])


@attrs.define
class RefusesItsOwn(Toy):
    def check(self, genotype):
        Toy.check(self, genotype)
        if genotype == self.mutate(self.random(Random(0)), Random(0)):
            raise InputError("Not this one.")

    def parse(self, text):
        return Toy(cells=self.cells).parse(text)

    def network(self, genotype, shape, auxiliary=False):
        return Toy(channels=self.channels, cells=self.cells).network(genotype, shape)

    def cost(self, genotype, shape):
        return Toy(channels=self.channels, cells=self.cells).cost(genotype, shape)

    def layer_list(self, genotype, shape):
        return Toy(channels=self.channels, cells=self.cells).layer_list(genotype, shape)


@attrs.define
class TakesAnything(Toy):
    """Does not look at the places of a genotype."""

    def check(self, genotype):
        for _, picked in genotype.picks:
            if picked[0] not in OPERATIONS and picked[0] != "x":
                raise InputError("No such operation.")


@attrs.define
class DrawsByItself(Toy):
    def mutate(self, genotype, generator):
        return Toy.mutate(self, genotype, random)


@attrs.define
class MutatesNothing(Toy):
    def mutate(self, genotype, generator):
        generator.random()
        return genotype


@attrs.define
class DecodesTheLast(Toy):
    def decode(self, choices, weights):
        return Toy.decode(self, choices, -weights) if choices.active_count == len(choices) else self._last(choices)

    @staticmethod
    def _last(choices):
        return Genotype("toy", {choice.name: (choice.candidates[-1],) for choice in choices})

    def encode(self, genotype, choices):
        return Toy.encode(self, genotype, choices).roll(1, 1)


@attrs.define
class Overcounts(Toy):
    def paths(self, block):
        return attrs.evolve(Toy.paths(self, block), count=Toy.paths(self, block).count + 1)


@attrs.define
class FreeBlocks(Toy):
    def path_cost(self, block, path, before, shape):
        return Costs(params=0, macs=0)

    def cost(self, genotype, shape):
        return Toy(channels=self.channels, cells=self.cells).cost(genotype, shape)


@attrs.define
class DrawsToNowhere(Toy):
    def drawings(self, genotype):
        return (Drawing("cells", ("images",), (Edge("images", "cell 0", "skip"),)),)


@attrs.define
class TooManyTaps(Toy):
    """Its networks have one tap more than it says."""

    def network(self, genotype, shape, auxiliary=False):
        net = Toy.network(self, genotype, shape)
        outputs = net.outputs

        def more(images):
            found = outputs(images)
            return found._replace(taps=(*found.taps, found.taps[-1]))

        net.outputs = more
        return net


@attrs.define
class EvenOnly(Toy):
    def supernet(self, shape):
        if shape.size % 2:
            raise RuntimeError(f"maps of {shape.size} and {shape.size // 2 * 2} pixels cannot be joined")
        return Toy.supernet(self, shape)


@attrs.define
class MiscountsParameters(Toy):
    def cost(self, genotype, shape):
        found = Toy.cost(self, genotype, shape)
        return Costs({**found, "params": found.params - (self.channels > 4)})  # right at the smallest width


@attrs.define
class CountsInFloats(Toy):
    def cost(self, genotype, shape):
        found = Toy.cost(self, genotype, shape)
        return Costs({**found, "params": float(found.params)})


@attrs.define
class CountsMacsInFloats(Toy):
    def cost(self, genotype, shape):
        found = Toy.cost(self, genotype, shape)
        return Costs({**found, "macs": float(found.macs)})


@attrs.define
class MiscountsWideMacs(Toy):
    def cost(self, genotype, shape):
        found = Toy.cost(self, genotype, shape)
        return Costs({**found, "macs": found.macs - (self.channels > 4)})  # right at the smallest width


@attrs.define
class MiscountsMacs(Toy):
    def cost(self, genotype, shape):
        found = Toy.cost(self, genotype, shape)
        return Costs({**found, "macs": 2 * found.macs})


@attrs.define
class BuildsADefault(Toy):
    """Builds, and counts, the same network for all genotypes."""

    def network(self, genotype, shape, auxiliary=False):
        return Toy.network(self, self.parse("point " * self.cells), shape)

    def path_cost(self, block, path, before, shape):
        return Toy.path_cost(self, block, self.parse("point " * self.cells), None, shape)

    def path_layers(self, block, path, before, shape):
        return Toy.path_layers(self, block, self.parse("point " * self.cells), None, shape)

    def layer_list(self, genotype, shape):
        return Toy.layer_list(self, self.parse("point " * self.cells), shape)


@attrs.define
class LosesTheHead(Toy):
    def layer_list(self, genotype, shape):
        return [layer for layer in Toy.layer_list(self, genotype, shape) if "head" not in layer.key]


@attrs.define
class LayersWithoutWidth(Toy):
    """Their keys say nothing of channels, in which they differ."""

    def path_layers(self, block, path, before, shape):
        layers = Toy.path_layers(self, block, path, before, shape)
        return [attrs.evolve(layer, key=re.sub(r" (to|of) \d+", "", layer.key)) for layer in layers]


@attrs.define
class FreeLayers(Toy):
    """Lists the cells of blocks alone."""

    def path_layers(self, block, path, before, shape):
        return Toy.path_layers(self, block, path, before, shape)[1:2]

    def layer_list(self, genotype, shape):
        return Toy(channels=self.channels, cells=self.cells).layer_list(genotype, shape)


@attrs.define
class DropsAnOption(Toy):
    depth: int = option(3, "something that is lost on the way", at_least=1)


@attrs.define
class ForgetsItsDepth(Toy):
    def size(self):
        return {"channels": self.channels}


@attrs.define
class OtherChoices(Toy):
    def supernet(self, shape):
        choices = [attrs.evolve(choice, at_most=2) for choice in self.choice_list()]
        return ToySupernet(Choices(choices), shape, self.channels)


class BatchStatistics(ToyNetwork):
    """Centres maps by the images around."""

    def outputs(self, images):
        found = ToyNetwork.outputs(self, images)
        return found._replace(logits=found.logits - found.logits.mean(0))


class WithoutDropout(ToyNetwork):
    def outputs(self, images):
        self.dropout = 0.0
        return ToyNetwork.outputs(self, images)


class WithoutDropPath(ToyNetwork):
    def _cell(self, cell, x):
        return cell(x)


class Float32Only(ToyNetwork):
    def outputs(self, images):
        found = ToyNetwork.outputs(self, images)
        columns = torch.arange(found.logits.shape[1]).expand_as(found.logits)
        logits = self.frame.classify.weight.new_zeros(found.logits.shape).scatter_add(1, columns, found.logits)
        return found._replace(logits=logits)


class DetachesTaps(ToyNetwork):
    def outputs(self, images):
        found = ToyNetwork.outputs(self, images)
        return found._replace(taps=tuple(tap.detach() for tap in found.taps))


class NormalisesInPlace(ToySupernet):
    """Brings the weights of its classifier to norm 1 whenever it computes."""

    def outputs(self, images):
        with torch.no_grad():
            self.frame.classify.weight /= self.frame.classify.weight.norm()
        return ToySupernet.outputs(self, images)


class ShrinksAlpha(ToySupernet):
    def outputs(self, images):
        if self.training:
            self.choices.alpha.data.mul_(0.99999)
        return ToySupernet.outputs(self, images)


class DeletesInEvaluation(ToySupernet):
    def outputs(self, images):
        if not self.training:
            doomed = torch.zeros_like(self.choices.kept)
            doomed[0, 0] = True
            self.choices.delete(doomed)
        return ToySupernet.outputs(self, images)


class CountsInEvaluation(ToyNetwork):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.register_buffer("passes", torch.zeros(()))

    def outputs(self, images):
        self.passes += 1
        return ToyNetwork.outputs(self, images)


class FallsAsleep(ToySupernet):
    """Leaves itself in eval mode."""

    def outputs(self, images):
        found = ToySupernet.outputs(self, images)
        self.train(False)
        return found


class CountsPasses(ToySupernet):
    """In the third step its logits depend on a number that no checkpoint holds."""

    passes = 0

    def outputs(self, images):
        found = ToySupernet.outputs(self, images)
        if self.training and images.shape[0] == 8:  # as a search asks, and no other check
            self.passes += 1
        return found._replace(logits=found.logits * (1.01 if self.passes == 6 else 1.0))


class RaisesIfEmpty(ToySupernet):
    def _cell(self, number, maps):
        if not self.choices.computed_columns[number]:
            raise IndexError("no candidates")
        return ToySupernet._cell(self, number, maps)


@attrs.define
class MayBeEmpty(Toy):
    """Its cells may be empty, and are decoded to their first operation then."""

    def choice_list(self):
        return tuple(attrs.evolve(choice, at_least=0) for choice in Toy.choice_list(self))


@attrs.define
class RaisesIfEmptySpace(MayBeEmpty):
    def supernet(self, shape):
        return RaisesIfEmpty(Choices(self.choice_list()), shape, self.channels)


class NanAlone(ToySupernet):
    """Divides by the number of other candidates, unless it is the first that is alone."""

    def outputs(self, images):
        found, alone = ToySupernet.outputs(self, images), self.choices.active_count == len(self.choices)
        first = all(columns == (0,) for columns in self.choices.active_columns)
        return found._replace(logits=found.logits / (0 if self.choices.mask is not None and alone and not first else 1))


class IgnoresTheMask(ToySupernet):
    def _cell(self, number, maps):
        weights = self.choices.relaxation(self.choices.alpha, self.choices.kept)[number]
        every = [column for column, kept in enumerate(self.choices.kept[number].tolist()) if kept]
        return self.frame.through(maps, number, lambda x: self.cells[number](x, weights, every))


class IgnoresAChoice(ToySupernet):
    def _cell(self, number, maps):
        if number == 0:
            return ToySupernet._cell(self, number, maps)
        weights, alive = self.choices.weights()[number].detach(), self.choices.active_columns[number]
        return self.frame.through(maps, number, lambda x: self.cells[number](x, weights, alive))


class PrunesTooMuch(ToySupernet):
    def prune(self):
        ToySupernet.prune(self)
        if not bool(self.choices.kept.all()):
            with torch.no_grad():
                self.frame.classify.bias.add_(1)


class OtherMaps(ToySupernet):
    def blocks(self):
        return [attrs.evolve(block, output=attrs.evolve(block.output, size=3)) for block in ToySupernet.blocks(self)]


class Seeded(ToySupernet):
    def __init__(self, *arguments):
        torch.manual_seed(0)
        super().__init__(*arguments)
        torch.nn.init.normal_(self.frame.classify.weight)


def space(net):
    def supernet(self, shape):
        return net(Choices(self.choice_list()), shape, self.channels)

    return attrs.define(type(f"{net.__name__}Space", (Toy,), {"supernet": supernet}))


def network(net):
    def make(self, genotype, shape, auxiliary=False):
        self.check(genotype)
        return net([picked[0] for _, picked in genotype.picks], shape, self.channels)

    return attrs.define(type(f"{net.__name__}Space", (Toy,), {"network": make}))


BatchStatisticsSpace, WithoutDropoutSpace = map(network, (BatchStatistics, WithoutDropout))
WithoutDropPathSpace, Float32OnlySpace, DetachesTapsSpace = map(network, (WithoutDropPath, Float32Only, DetachesTaps))
NormalisesInPlaceSpace = space(NormalisesInPlace)
NanAloneSpace, IgnoresTheMaskSpace, IgnoresAChoiceSpace = map(space, (NanAlone, IgnoresTheMask, IgnoresAChoice))
PrunesTooMuchSpace, OtherMapsSpace, SeededSpace = map(space, (PrunesTooMuch, OtherMaps, Seeded))
ShrinksAlphaSpace, DeletesInEvaluationSpace = map(space, (ShrinksAlpha, DeletesInEvaluation))
FallsAsleepSpace, CountsPassesSpace = map(space, (FallsAsleep, CountsPasses))
CountsInEvaluationSpace = network(CountsInEvaluation)


@attrs.define
class CalledOtherwise(Toy):
    name = "other"


@hookimpl
def nasplug_register(register):
    for name, target in {
        "genotypes-survive-json": "Misnamed",
        "parses-what-it-writes": "ParsesTheFirst",
        "accepts-its-own-genotypes": "RefusesItsOwn",
        "refuses-foreign-genotypes": "TakesAnything",
        "draws-from-the-generator-given": "DrawsByItself",
        "mutates-to-another-architecture": "MutatesNothing",
        "encode-and-decode-agree": "DecodesTheLast",
        "paths-are-as-many-as-they-say": "Overcounts",
        "paths-join-to-architectures": "FreeBlocks",
        "draws-what-it-holds": "DrawsToNowhere",
        "networks-have-the-form-they-declare": "TooManyTaps",
        "networks-work-with-any-images": "EvenOnly",
        "is-registered-by-its-own-name": "CalledOtherwise",
        "parameters-are-counted-exactly": "MiscountsParameters",
        "parameters-are-counted-exactly.floats": "CountsInFloats",
        "multiplications-are-counted-exactly": "MiscountsMacs",
        "multiplications-are-counted-exactly.floats": "CountsMacsInFloats",
        "multiplications-are-counted-exactly.widths": "MiscountsWideMacs",
        "layers-make-up-the-network": "LosesTheHead",
        "equal-layers-cost-the-same": "LayersWithoutWidth",
        "layers-of-blocks-add-up": "FreeLayers",
        "picks-reach-the-network": "BuildsADefault",
        "options-reach-the-network": "DropsAnOption",
        "records-the-size-of-its-networks": "ForgetsItsDepth",
        "one-image-alone-gets-the-same-answer": "BatchStatisticsSpace",
        "drops-inputs-of-the-classifier": "WithoutDropoutSpace",
        "drops-paths": "WithoutDropPathSpace",
        "computes-in-half-precision": "Float32OnlySpace",
        "taps-carry-gradients": "DetachesTapsSpace",
        "computing-changes-nothing": "NormalisesInPlaceSpace",
        "computing-changes-nothing.alpha": "ShrinksAlphaSpace",
        "computing-changes-nothing.kept": "DeletesInEvaluationSpace",
        "computing-changes-nothing.buffers": "CountsInEvaluationSpace",
        "computing-changes-nothing.mode": "FallsAsleepSpace",
        "goes-on-exactly-after-stops-at-every-step": "CountsPassesSpace",
        "supernet-works-with-few-candidates": "RaisesIfEmptySpace",
        "supernet-works-with-few-candidates.decoded": "MayBeEmpty",
        "supernet-has-the-choices-of-its-space": "OtherChoices",
        "supernet-computes-each-architecture": "NanAloneSpace",
        "supernet-computes-only-what-counts": "IgnoresTheMaskSpace",
        "supernet-weighs-every-choice": "IgnoresAChoiceSpace",
        "pruning-keeps-the-function": "PrunesTooMuchSpace",
        "blocks-give-the-maps-they-declare": "OtherMapsSpace",
        "another-seed-gives-another-result": "SeededSpace",
    }.items():
        if name != "is-registered-by-its-own-name":
            globals()[target].name = name
        register.space(name, f"broken_spaces:{target}", summary=f"Breaks {name}.")
