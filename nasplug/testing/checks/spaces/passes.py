"""Checks of single passes through networks and supernets: by the mode, the precision and the images they are given."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.parts import Network
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE, genotypes, images, supernet
from nasplug.testing.companion_parts import space_of
from nasplug.testing.outcome import Failed, NotApplicable, require

TRIES = 8
"""Passes in training mode, at most, in one of which something must be dropped."""


@check("space")
def one_image_alone_gets_the_same_answer(case: Case) -> None:
    """In eval mode, a network gives an image alone the logits that it gives it in a batch.

    A statistic of the batch that is used in eval mode makes an error rate that no user will see again. Supernets may
    use them: for those, statistics are measured before they are evaluated.
    """
    batch = images().double()
    for what, net in _nets(case)[:-1]:
        net.double().eval()
        with torch.no_grad():
            together = net(batch)
            alone = torch.cat([net(image[None]) for image in batch])
        difference, size = float((together - alone).abs().max()), float(together.abs().max())
        require(
            difference <= 1e-6 * max(size, 1e-3),
            f"logits of {what} differ by {difference:.2g} between an image alone and in a batch",
            "use running statistics, not those of the batch, where self.training is False",
        )


@check("space")
def drops_inputs_of_the_classifier(case: Case) -> None:
    """`dropout` of a network changes what it computes in training mode, and nothing in eval mode.

    It is an option of every retraining (`retrain.dropout`), which would be ignored.
    """
    _require_dropping(case, "dropout", "F.dropout(pooled, self.dropout, self.training) before the classifier")


@check("space")
def drops_paths(case: Case) -> None:
    """`drop_path` of a network changes what it computes in training mode, and nothing in eval mode.

    It is an option of every retraining (`retrain.drop_path`), which would be ignored.
    """
    _require_dropping(
        case, "drop_path", "nasplug.supernets.drop_path(x, self.drop_path) on what is added to a shortcut"
    )


@check("space")
def computes_in_half_precision(case: Case) -> None:
    """Under autocast to bfloat16, networks and the supernet give finite logits and finite gradients.

    Precision is an option of every run (`run.precision`); a GPU takes bfloat16 by default.
    """
    for what, net in _nets(case):
        net.train()
        try:
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(images())
            F.cross_entropy(logits.float(), torch.arange(len(logits)) % SHAPE.classes).backward()
        except (RuntimeError, TypeError) as error:
            raise Failed(f"{what} raises: {error}", "convert factors to the type of what they multiply") from error
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        require(
            bool(logits.isfinite().all()) and all(bool(gradient.isfinite().all()) for gradient in gradients),
            f"logits or gradients of {what} are not finite",
            "compute what overflows, such as sums of squares, in float32",
        )


@check("space")
def taps_carry_gradients(case: Case) -> None:
    """From every tap a gradient reaches parameters of the network that it belongs to.

    Teachers compare taps. Without a gradient their loss is a number that trains nothing.
    """
    taps = 0
    for what, net in _nets(case):
        net.train()
        weights = [parameter for name, parameter in net.named_parameters() if name != "choices.alpha"]
        for number, tap in enumerate(net.outputs(images()).taps):
            taps += 1
            loss = tap.square().mean()
            gradients = (
                torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True) if loss.requires_grad else []
            )
            require(
                any(gradient is not None and bool(gradient.any()) for gradient in gradients),
                f"tap {number} of {what} has no gradient",
                "put the map itself into Outputs.taps, not a detached copy",
            )
    if not taps:
        raise NotApplicable("its networks have no taps")


@check("space")
def computing_changes_nothing(case: Case) -> None:
    """A forward pass leaves weights, alpha and the kept candidates as they are; in eval mode the buffers, too.

    What an evaluation changes depends on how often it is made, and so on where a run was stopped.
    """
    for what, net in _nets(case):
        for training in (False, True):
            net.train(training)
            before = {name: value.clone() for name, value in net.state_dict().items()}
            fixed = {*dict(net.named_parameters()), "choices.kept"} if training else set(before)
            net.outputs(images())
            after = net.state_dict()
            changed = [name for name in before if name in fixed and not torch.equal(before[name], after[name])]
            mode = "training" if training else "eval"
            require(
                not changed,
                f"a pass in {mode} mode changes '{(changed or [''])[0]}' of {what}",
                "compute new tensors instead of writing to those of the network",
            )
            require(net.training == training, f"a pass changes the mode of {what}", "leave the mode to who calls")


@check("space")
def supernet_works_with_few_candidates(case: Case) -> None:
    """With as few candidates as each choice must have, none where it may have none, logits and gradients are finite.

    A softmax over an empty row is NaN, and a sum of no candidates has no shape. What is decoded of an empty row is an
    architecture without candidates of this choice: else networks hold what their supernet was evaluated without.
    """
    space, net = case.once(space_of), supernet(case)
    mask = torch.zeros_like(net.choices.kept)
    for row, choice in enumerate(net.choices):
        mask[row, : choice.at_least] = True
    with net.choices.only(mask):
        logits = net(images())
        logits.square().mean().backward()
        decoded = space.decode(net.choices, net.choices.weights().detach())
    require(bool(logits.isfinite().all()), "logits are not finite", "give a sum without candidates a value, such as 0")
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    require(
        all(bool(gradient.isfinite().all()) for gradient in gradients),
        "a gradient is not finite",
        "leave candidates that do not count out of the sum, rather than multiply them by 0",
    )
    space.check(decoded)
    held = space.encode(decoded, net.choices) & ~mask
    for row, choice in enumerate(net.choices):
        require(
            choice.at_least > 0 or not bool(held[row].any()),
            f"the choice '{choice.name}' has no candidates left, and is decoded to some",
            "let decode, and so encode, give an empty choice nothing",
        )


def _nets(case: Case) -> list[tuple[str, Network]]:
    """Two networks and a supernet, new ones, with what a message calls them."""
    space = case.once(space_of)
    nets: list[tuple[str, Network]] = []
    for genotype in case.once(genotypes)[:2]:
        torch.manual_seed(0)
        nets.append(("a network", space.network(genotype, SHAPE)))
    return [*nets, ("the supernet", supernet(case))]


def _require_dropping(case: Case, option: str, remedy: str) -> None:
    space, dropped = case.once(space_of), False
    for genotype in case.once(genotypes):
        torch.manual_seed(0)
        net = space.network(genotype, SHAPE)
        for training in (False, True):
            net.train(training)
            whole = _answer(net, option, 0.0)
            others = (_answer(net, option, 0.5) for _ in range(TRIES if training else 1))
            changed = any(not torch.equal(whole, other) for other in others)
            require(training or not changed, f"{option}=0.5 changes logits in eval mode", f"in training mode: {remedy}")
            dropped |= changed
    require(dropped, f"{option}=0.5 changes nothing", remedy)


def _answer(net: Network, option: str, probability: float) -> Tensor:
    setattr(net, option, probability)
    with torch.no_grad():
        logits: Tensor = net(images())
    return logits
