"""Checks of supernets: which candidates they compute, and what deleting candidates changes."""

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
    """The supernet has the choices of `choice_list`, and gives logits and taps as the networks of the space do.

    Schedules, optimizers and teachers are checked against `choice_list` before the supernet exists.
    """
    space, net = case.once(space_of), supernet(case)
    require(
        tuple(net.choices) == space.choice_list(),
        "the supernet has other choices than choice_list()",
        "build Choices(self.choice_list())",
    )
    outputs = net.outputs(images())
    shape = tuple(outputs.logits.shape)
    require(
        shape == (4, SHAPE.classes), f"logits have the shape {shape} instead of (4, {SHAPE.classes})", "fix the head"
    )
    require(
        len(outputs.taps) == space.taps(),
        f"there are {len(outputs.taps)} taps, but taps() says {space.taps()}",
        "fix Outputs.taps",
    )


@check("space")
def supernet_computes_each_architecture(case: Case) -> None:
    """Restricted to one architecture, the supernet gives finite logits and gradients for its candidates.

    Conditional choices and empty sums may give zeros or NaN as soon as candidates are missing.
    """
    space = case.once(space_of)
    for genotype in case.once(genotypes)[:2]:
        net = supernet(case)
        mask = space.encode(genotype, net.choices)
        net.choices.relaxation = _unnormalised
        with net.choices.only(mask):
            logits = net(images())
            logits.square().mean().backward()
        require(
            bool(logits.isfinite().all()),
            f"logits of {genotype.to_json():.80} are not finite",
            "fix the sum of candidates",
        )
        gradient = net.choices.alpha.grad
        require(
            gradient is not None and bool(gradient.isfinite().all()) and bool(gradient[mask].any()),
            f"alpha of {genotype.to_json():.80} gets {'no' if gradient is None else 'no useful'} gradient",
            "multiply the output of each candidate by its entry of choices.weights()",
        )
        parameters = [parameter for name, parameter in net.named_parameters() if name != "choices.alpha"]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        require(
            all(bool(grad.isfinite().all()) for grad in gradients) and any(bool(grad.any()) for grad in gradients),
            "no weight gets a finite gradient that is not zero",
            "keep the computation differentiable",
        )


@check("space")
def supernet_computes_only_what_counts(case: Case) -> None:
    """The supernet gives different outputs for the different architectures that it is restricted to.

    A supernet that ignores the mask gives all architectures the same rating.
    """
    space, net = case.once(space_of), supernet(case)
    samples = list(dict.fromkeys(case.once(genotypes)))
    outputs = []
    with torch.no_grad():
        for genotype in samples:
            with net.choices.only(space.encode(genotype, net.choices)):
                outputs.append(net(images()))
        unrestricted = net(images())
    different = sum(not torch.equal(outputs[0], output) for output in (*outputs[1:], unrestricted))
    require(
        different > len(samples) // 2,
        f"of {len(samples)} architectures and the whole supernet, {len(samples) + 1 - different} compute the same",
        "compute only the candidates of choices.active_columns, weighted by choices.weights()",
    )


@check("space")
def supernet_weighs_every_choice(case: Case) -> None:
    """The output of the supernet depends on alpha of every choice with several candidates.

    Alpha of a choice that nothing depends on stays at its initial value, so that a tie decides about it.
    """
    net = supernet(case)
    net(images()).square().mean().backward()
    gradient = net.choices.alpha.grad
    for row, choice in enumerate(net.choices):
        if len(choice.candidates) > 1:
            require(
                gradient is not None and bool(gradient[row].any()),
                f"alpha of the choice '{choice.name}' gets no gradient",
                "weight its candidates by its row of choices.weights()",
            )


@check("space")
def pruning_keeps_the_function(case: Case) -> None:
    """After candidates were deleted, `prune` removes their modules and does not change the outputs.

    When it is called depends on where a search was stopped and resumed, so the result must not depend on it.
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
    before, parameters = _all_outputs(net, batch), _count_parameters(net)
    net.prune()
    after = _all_outputs(net, batch)
    difference = max(float((old - new).abs().max()) for old, new in zip(before, after, strict=True))
    require(difference < 1e-9, f"after prune() outputs differ by up to {difference:.2g}", "remove only what is deleted")
    require(_count_parameters(net) <= parameters, "prune() adds parameters", "remove modules of deleted candidates")
    net.prune()
    require(
        torch.equal(after[0], _all_outputs(net, batch)[0]),
        "pruning twice changes the outputs",
        "make prune() skip what it has removed before",
    )


@check("space")
def blocks_give_the_maps_they_declare(case: Case) -> None:
    """Each block reads maps of the shapes that it declares, and gives a map of the shape that it declares.

    Block-wise teachers build their adaptors from these shapes.
    """
    net = supernet(case)
    for number, block in enumerate(net.blocks()):
        maps = [torch.randn(2, shape.channels, shape.size, shape.size) for shape in block.inputs] or [images(count=2)]
        with torch.no_grad():
            actual = tuple(block(maps).shape)
        output = block.output
        declared = (2, SHAPE.classes) if output is None else (2, output.channels, output.size, output.size)
        require(
            actual == declared,
            f"block {number} gives {actual}, but declares {declared}",
            "fix Block.inputs or Block.output",
        )
    with torch.no_grad():
        same = torch.allclose(net.whole()([images()]), net(images()), atol=1e-5)
    require(same, "the block of the whole network computes something else than the network", "fix whole()")


def _unnormalised(alpha: Tensor, active: Tensor) -> Tensor:
    return alpha * active


def _all_outputs(net: Supernet, batch: Tensor) -> list[Tensor]:
    with torch.no_grad():
        outputs = net.outputs(batch)
    return [outputs.logits, *outputs.taps]


def _count_parameters(net: Supernet) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
