"""Supernets of a space: what they compute for the candidates that count, and what deletion changes."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

from nasplug.parts import Supernet
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, images, supernet
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import NotApplicable, require


@check("space")
def supernet_has_the_choices_of_its_space(case: Case) -> None:
    """The supernet has the choices of `choice_list`, and gives logits and taps as its networks do.

    Schedules, optimizers and teachers are checked against the space before the supernet exists.
    """
    space, net = case.once(space_of), supernet(case)
    require(
        tuple(net.choices) == space.choice_list(),
        "the supernet has other choices than choice_list()",
        "build Choices(self.choice_list())",
    )
    outputs = net.outputs(images())
    form = tuple(outputs.logits.shape)
    require(form == (4, SHAPE.classes), f"logits have the form {form} instead of (4, {SHAPE.classes})", "mend the head")
    require(
        len(outputs.taps) == space.taps(),
        f"there are {len(outputs.taps)} taps, but taps() says {space.taps()}",
        "mend Outputs.taps",
    )


@check("space")
def supernet_computes_each_architecture(case: Case) -> None:
    """With the candidates of one architecture alone, the supernet gives finite logits and gradients for these.

    Conditional choices and empty sums give zeros or NaN as soon as candidates are missing.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes)[:2]:
        net = supernet(case)
        mask = space.encode(genotype, net.choices)
        net.choices.relaxation = _as_it_is
        with net.choices.only(mask):
            logits = net(images())
            logits.square().mean().backward()
        require(
            bool(logits.isfinite().all()),
            f"logits of {genotype.to_json():.80} are not finite",
            "mend the sum of candidates",
        )
        gradient = net.choices.alpha.grad
        require(
            gradient is not None and bool(gradient.isfinite().all()) and bool(gradient[mask].any()),
            f"alpha of {genotype.to_json():.80} gets {'no' if gradient is None else 'no useful'} gradient",
            "multiply what each candidate computes by its entry of choices.weights()",
        )
        gradients = [each.grad for name, each in net.named_parameters() if name != "choices.alpha"]
        found = [each for each in gradients if each is not None]
        require(
            all(bool(each.isfinite().all()) for each in found) and any(bool(each.any()) for each in found),
            "no weight gets a finite gradient that is not zero",
            "keep the computation differentiable",
        )


@check("space")
def supernet_computes_only_what_counts(case: Case) -> None:
    """The supernet computes something else for each architecture that it is restricted to.

    A supernet that does not look at the mask rates all architectures alike.
    """
    space, net = case.once(space_of), supernet(case)
    drawn = list(dict.fromkeys(case.once(genotypes)))
    outputs = []
    with torch.no_grad():
        for genotype in drawn:
            with net.choices.only(space.encode(genotype, net.choices)):
                outputs.append(net(images()))
        everything = net(images())
    different = sum(not torch.equal(outputs[0], each) for each in (*outputs[1:], everything))
    require(
        different > len(drawn) // 2,
        f"of {len(drawn)} architectures and the whole supernet, {len(drawn) + 1 - different} compute the same",
        "compute the candidates of choices.active_columns alone, weighed by choices.weights()",
    )


@check("space")
def supernet_weighs_every_choice(case: Case) -> None:
    """Alpha of every choice with several candidates changes what the supernet computes.

    A choice that nothing depends on stays at its initial alpha, and the architecture that is found is a tie there.
    """
    net = supernet(case)
    net(images()).square().mean().backward()
    gradient = net.choices.alpha.grad
    for row, choice in enumerate(net.choices):
        if len(choice.candidates) > 1:
            require(
                gradient is not None and bool(gradient[row].any()),
                f"alpha of the choice '{choice.name}' gets no gradient",
                "weigh its candidates by its row of choices.weights()",
            )


@check("space")
def pruning_keeps_the_function(case: Case) -> None:
    """After candidates were deleted, `prune` removes their modules and changes nothing that is computed.

    A search that goes on from a checkpoint has them pruned before, one that was not stopped a step later.
    """
    net = supernet(case).double().eval()
    batch = images().double()
    generator = Random(0)
    doomed = torch.zeros_like(net.choices.kept)
    for row, choice in enumerate(net.choices):
        spare = len(choice.candidates) - max(choice.at_least, 1)
        doomed[
            row, generator.sample(range(len(choice.candidates)), generator.randint(0, spare) if spare > 0 else 0)
        ] = True
    if not net.choices.delete(doomed):
        raise NotApplicable("no candidate can be deleted")
    before, weights = _everything(net, batch), _count(net)
    net.prune()
    after = _everything(net, batch)
    difference = max(float((one - other).abs().max()) for one, other in zip(before, after, strict=True))
    require(difference < 1e-9, f"after prune() outputs differ by up to {difference:.2g}", "remove only what is deleted")
    require(_count(net) <= weights, "prune() adds parameters", "remove modules of deleted candidates")
    net.prune()
    require(
        torch.equal(after[0], _everything(net, batch)[0]),
        "pruning twice changes what is computed",
        "let prune() see what is left",
    )


@check("space")
def blocks_give_the_maps_they_declare(case: Case) -> None:
    """Each block reads maps of the shapes that it names, and gives a map of its own shape.

    Block-wise teachers build what joins them to the blocks from these shapes.
    """
    net = supernet(case)
    for number, block in enumerate(net.blocks()):
        maps = [torch.randn(2, each.channels, each.size, each.size) for each in block.inputs] or [images(count=2)]
        with torch.no_grad():
            form = tuple(block(maps).shape)
        shape = block.output
        wanted = (2, SHAPE.classes) if shape is None else (2, shape.channels, shape.size, shape.size)
        require(
            form == wanted, f"block {number} gives {form}, but declares {wanted}", "mend Block.inputs or Block.output"
        )
    with torch.no_grad():
        same = torch.allclose(net.whole()([images()]), net(images()), atol=1e-5)
    require(same, "the block of the whole network computes something else than the network", "mend whole()")


def _as_it_is(alpha: Tensor, active: Tensor) -> Tensor:
    return alpha * active


def _everything(net: Supernet, batch: Tensor) -> list[Tensor]:
    with torch.no_grad():
        outputs = net.outputs(batch)
    return [outputs.logits, *outputs.taps]


def _count(net: Supernet) -> int:
    return sum(each.numel() for each in net.parameters())
