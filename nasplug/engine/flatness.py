"""How flat the loss of a supernet is, and what is lost when its architecture becomes discrete.

Every function leaves the network as it was, bit by bit, and draws from no global random state, so a search goes the
same way whether it is measured or not. Losses are those of the task, means over all images of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from nasplug.engine.random_state import RandomState
from nasplug.parts import Batch, SearchSpace, Supernet
from nasplug.supernets import Norm, recalibrate

Batches = Callable[[], Iterable[Batch]]
"""Gives the same batches whenever it is called."""


def sharpness(net: Supernet, batches: Sequence[Batch], radius: float = 0.05) -> float:
    """L(w + radius g / ||g||) - L(w), g = dL/dw: how much one step uphill over all weights w costs.

    The first-order estimate of the largest loss within `radius`, as in SAM (Foret et al., ICLR 2021). Batch norms use
    the statistics of their batch.
    """
    weights = [weight for weight in net.parameters() if weight is not net.choices.alpha]
    with untouched(net):
        net.train()
        loss, gradients = _slope(net, batches, weights)
        length = torch.cat([gradient.flatten() for gradient in gradients]).norm().clamp_min(1e-12)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.add_(gradient * (radius / length))
        return float(_judge(net, batches)[0] - loss)


def alpha_eigenvalue(
    net: Supernet, batches: Sequence[Batch], seed: int, tolerance: float = 0.02, iterations: int = 8
) -> float:
    """The dominant eigenvalue of the Hessian of the loss with respect to alpha (the measure of R-DARTS and SDARTS).

    The search for it starts in a direction that `seed` decides; deleted candidates take no part. Products with the
    Hessian are exact second derivatives: across the kinks of ReLUs and pools, finite differences of a supernet's
    gradient are not even roughly those of its Hessian. Needs twice the memory of a training step on one of the batches.
    """
    alpha, images = net.choices.alpha, _count(batches)

    def product(direction: Tensor) -> Tensor:
        total = torch.zeros_like(alpha)
        for batch in batches:
            loss = batch.task.summed_loss(net(batch.images), batch.labels) / images
            (slope,) = torch.autograd.grad(loss, alpha, create_graph=True, materialize_grads=True)
            if slope.requires_grad:  # not where no choice is left open
                total += torch.autograd.grad(slope, alpha, direction.to(alpha), materialize_grads=True)[0]
        return total.double().cpu()

    drawn = torch.randn(alpha.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with untouched(net):
        net.train()
        return dominant_eigenvalue(product, drawn * net.choices.active_mask.cpu(), tolerance, iterations)


def dominant_eigenvalue(product: Callable[[Tensor], Tensor], start: Tensor, tolerance: float, iterations: int) -> float:
    """The eigenvalue largest in magnitude of a symmetric matrix, known by its products with vectors of any shape.

    Power iteration that keeps every direction it went through and finds the best vector in their span (Lanczos), which
    needs far fewer products. Ends when the value changes by at most `tolerance` of itself, when the span is complete,
    or after `iterations` products.
    """
    basis, images, value = [start / start.norm()], list[Tensor](), 0.0
    for _ in range(iterations):
        images.append(product(basis[-1]))
        projected = torch.stack(basis).flatten(1) @ torch.stack(images).flatten(1).T
        spectrum = torch.linalg.eigvalsh((projected + projected.T) / 2)
        before, value = value, float(spectrum[spectrum.abs().argmax()])
        rest = images[-1]
        for known in [*basis, *basis]:  # twice, since rounding leaves something of them the first time
            rest = rest - (rest * known).sum() * known
        complete = bool(rest.norm() <= 1e-6 * images[-1].norm())
        if complete or abs(value - before) <= tolerance * abs(value):
            break
        basis.append(rest / rest.norm())
    return value


def discretisation(net: Supernet, space: SearchSpace, calibration: Batches, held_out: Batches) -> dict[str, float]:
    """Error and loss of the supernet on `held_out`, and of the same with nothing but its decoded genotype left.

    Each is evaluated with batch-norm statistics measured on `calibration` with the candidates that count. The gap is
    what discretising adds: positive where the discrete network is worse.
    """
    choices = net.choices
    genotype = space.decode(choices, choices.weights().detach())
    mask = space.encode(genotype, choices).to(choices.alpha.device)
    with untouched(net):
        loss, error = evaluate(net, calibration, held_out)
        with choices.only(mask):
            discrete_loss, discrete_error = evaluate(net, calibration, held_out)
    return {
        "supernet_error": error,
        "discrete_error": discrete_error,
        "gap_error": discrete_error - error,
        "gap_loss": discrete_loss - loss,
    }


@contextmanager
def untouched(net: Supernet) -> Iterator[None]:
    """Parameters, buffers, batch-norm statistics, mode and random state of a network come back after the block.

    Within it there is no dropout after skip connections.
    """
    tensors = [*net.parameters(), *net.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    norms = [module for module in net.modules() if isinstance(module, Norm)]
    counts = [norm.batches for norm in norms]
    mode, random_state = net.training, RandomState.capture(net.choices.alpha.device)
    skip_dropout, net.skip_dropout = net.skip_dropout, None
    try:
        yield
    finally:
        random_state.restore()
        net.train(mode)
        net.skip_dropout = skip_dropout
        for norm, count in zip(norms, counts, strict=True):
            norm.batches = count
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)


def _slope(net: Supernet, batches: Sequence[Batch], of: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The loss and its gradients; zeros for what it does not depend on."""
    images = _count(batches)
    total, gradients = torch.zeros((), device=of[0].device), [torch.zeros_like(tensor) for tensor in of]
    for batch in batches:
        loss = batch.task.summed_loss(net(batch.images), batch.labels) / images
        for gradient, part in zip(gradients, torch.autograd.grad(loss, of, materialize_grads=True), strict=True):
            gradient.add_(part)
        total = total + loss.detach()
    return total, gradients


def _count(batches: Sequence[Batch]) -> int:
    return sum(len(batch.labels) for batch in batches)


@torch.no_grad()  # not inference_mode: what the network caches on the way is used in training again
def _judge(net: Supernet, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Mean loss and error, as the network now computes."""
    sums, images = torch.zeros(3, device=net.choices.alpha.device), 0
    for batch in batches:
        logits = net(batch.images)
        loss = batch.task.summed_loss(logits, batch.labels)
        wrong, total = batch.task.count_errors(logits, batch.labels).sum(1).to(loss.dtype)
        sums, images = sums + torch.stack([loss, wrong, total]), images + len(batch.labels)
    return sums[0] / images, sums[1] / sums[2]


def evaluate(net: Supernet, calibration: Batches, held_out: Batches) -> tuple[float, float]:
    """Mean loss and error on `held_out` in evaluation, with statistics that are measured on `calibration`.

    Both are those of the candidates that now count. Leaves the statistics and the mode of the network changed.
    """
    recalibrate(net, (batch.images for batch in calibration()))
    net.eval()
    loss, error = _judge(net, held_out())
    return float(loss), float(error)
